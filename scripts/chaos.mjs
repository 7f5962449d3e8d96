// npm run chaos [-- --minutes N --seed N]: sets everything up, and kills what it can while clients build.
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { root, runProgram } from './terminal.mjs';

await runProgram(async () => {
  await setUp();
  const { ensureTestTools } = await import('./host.mjs');
  await ensureTestTools();
  await ensureBuild();
  // In this very process, so that signals and exit status are its own.
  const require = createRequire(import.meta.url);
  require(path.join(root, 'test', 'support', 'register.cjs'));
  require(path.join(root, 'test', 'chaos', 'main.ts'));
});
