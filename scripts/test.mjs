// npm test [-- jest's own arguments]: sets everything up and runs every check and every test.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { runPackage, runProgram, say } from './terminal.mjs';

const checks = [
  ['Format', 'prettier/bin/prettier.cjs', ['--check', '--log-level=warn', '.']],
  ['Lint', 'eslint/bin/eslint.js', ['.']],
  ['Types', 'typescript/bin/tsc', ['--noEmit']],
];

let passed = 0;
let failed = 1;
await runProgram(async () => {
  const args = process.argv.slice(2);
  await setUp();
  const { ensureTestTools } = await import('./host.mjs');
  await ensureTestTools();
  await ensureBuild();
  const broken = args.length === 0 ? await runChecks() : 0;
  const results = await runJest(args);
  passed = results.passed;
  failed = results.failed + broken;
});
if (failed > 0) process.exitCode = 1;
say(`${passed} passed, ${failed} failed`);

/** Format, lint and types; returns how many of them found a fault. */
async function runChecks() {
  let broken = 0;
  for (const [name, file, args] of checks) {
    say(`${name} …`);
    const { code } = await runPackage(file, args);
    if (code !== 0) broken += 1;
  }
  return broken;
}

/** Every Jest project in one run; a file that could not run at all counts as a failed test. */
async function runJest(args) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'image-factory-test-'));
  const outputFile = path.join(folder, 'results.json');
  try {
    const { code } = await runPackage('jest/bin/jest.js', [
      // More than the two processors that it is made for: half of the tests' time they wait, for leases and time-outs to pass.
      '--maxWorkers=3',
      '--json',
      `--outputFile=${outputFile}`,
      ...args,
    ]);
    // Jest writes none when it found no test or broke; it has said why.
    if (!existsSync(outputFile)) return { passed: 0, failed: 1 };
    const results = JSON.parse(readFileSync(outputFile, 'utf8'));
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    return { passed: results.numPassedTests, failed: code === 0 ? failed : Math.max(failed, 1) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
