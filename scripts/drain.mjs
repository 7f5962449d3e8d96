// npm run drain [-- --builds N --workers N]: sets everything up, and shows that a small tenant is not behind a big one.
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { root, run, runProgram } from './terminal.mjs';

await runProgram(async () => {
  await setUp();
  const { ensureTestTools } = await import('./host.mjs');
  await ensureTestTools();
  await ensureBuild();
  const test = path.join(root, 'test');
  const program = ['-r', path.join(test, 'support', 'register.cjs'), path.join(test, 'drain', 'main.ts')];
  const { code } = await run(process.execPath, [...program, ...process.argv.slice(2)]);
  if (code !== 0) process.exitCode = code;
});
