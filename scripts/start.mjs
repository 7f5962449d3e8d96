// npm start: the service, in this very process, so that signals and exit status are its own.
import { pathToFileURL } from 'node:url';
import { ensureBuild, entry } from './build.mjs';
import { ensureNode } from './dependencies.mjs';
import { loadSettings } from './settings.mjs';
import { root, runProgram } from './terminal.mjs';

await runProgram(async () => {
  ensureNode();
  await ensureBuild();
  process.chdir(root);
  loadSettings();
  // Started by another script (the demo), the service ends with it, whatever ended that.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
  await import(pathToFileURL(entry).href);
});
