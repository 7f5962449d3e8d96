// npm run chaos [-- --minutes N --seed N]: sets everything up, and kills what it can while clients build.
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { runProgram } from './terminal.mjs';
import { requireTypeScript } from './typescript.mjs';

await runProgram(async () => {
  await setUp();
  const { ensureTestTools } = await import('./host.mjs');
  await ensureTestTools();
  await ensureBuild();
  // In this very process, so that signals and exit status are its own.
  requireTypeScript('test', 'chaos', 'main.ts');
});
