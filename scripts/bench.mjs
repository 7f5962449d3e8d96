// npm run bench [-- P3 P6] [-- --quick] [-- --check]: measures the goals of performance, each against its floor.
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { runProgram } from './terminal.mjs';
import { requireTypeScript } from './typescript.mjs';

await runProgram(async () => {
  await setUp();
  await ensureBuild();
  requireTypeScript('bench', 'main.ts');
});
