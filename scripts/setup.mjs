// npm run setup: all that the service needs on this machine.
import { ensureDependencies, ensureNode } from './dependencies.mjs';
import { isProgram, runProgram, say } from './terminal.mjs';

/**
 * Dependencies, then a build engine.
 * @throws Error with one line that says what is missing and what to do.
 */
export async function setUp() {
  ensureNode();
  await ensureDependencies();
  const { ensureEngine } = await import('./host.mjs');
  await ensureEngine();
}

if (isProgram(import.meta.url)) {
  await runProgram(async () => {
    await setUp();
    say('Everything is set up. Next: npm run demo, npm start or npm test.');
  });
}
