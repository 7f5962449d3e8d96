// npm run bench [-- P3 P6] [-- --quick] [-- --check]: measures the goals of performance, each against its floor.
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { root, runProgram } from './terminal.mjs';

await runProgram(async () => {
  await setUp();
  await ensureBuild();
  // The measuring process and its children read TypeScript as the tests do.
  const register = path.join(root, 'test', 'support', 'register.cjs');
  process.execArgv.push('-r', register);
  const require = createRequire(import.meta.url);
  require(register);
  require(path.join(root, 'bench', 'main.ts'));
});
