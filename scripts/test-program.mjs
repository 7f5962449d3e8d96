// Runs a program of the tests, such as a fuzz, after everything that it needs was set up.
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { root, run, runProgram } from './terminal.mjs';

/** `test/<name>/main.ts`, with the arguments of the command line and its exit status. */
export function runTestProgram(name) {
  return runProgram(async () => {
    await setUp();
    const { ensureTestTools } = await import('./host.mjs');
    await ensureTestTools();
    await ensureBuild();
    const test = path.join(root, 'test');
    const program = ['-r', path.join(test, 'support', 'register.cjs'), path.join(test, name, 'main.ts')];
    const { code } = await run(process.execPath, [...program, ...process.argv.slice(2)]);
    if (code !== 0) process.exitCode = code;
  });
}
