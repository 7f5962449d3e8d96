// npm run chaos: the program itself. scripts/chaos.mjs sets up what it needs.
import 'reflect-metadata';
import { Chaos } from './chaos';
import { parseOptions } from './options';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interruption.abort(new Error(`Interrupted by ${signal}`));
  });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const chaos = new Chaos(parseOptions(process.argv.slice(2)), say);
  process.exitCode = (await chaos.run(interruption.signal)) ? 0 : 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = interruption.signal.aborted ? 130 : 1;
});
