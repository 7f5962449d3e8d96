// npm run drain [-- --builds N --workers N]: real workers drain real builds of a big, a middle and a small tenant.
import { parseArgs } from 'node:util';
import { startRunServer, stopRunServer } from '../support/postgres';
import { drain, sharesOf } from './drain';
import { faultsOf, reportOf } from './report';

const slotsEach = 2;
const limitMsEach = 10_000;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** @throws Error that names the option */
function numberOf(name: string, value: string, least: number): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= least) return number;
  throw new Error(`--${name} must be a whole number from ${least} on`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { builds: { type: 'string', default: '300' }, workers: { type: 'string', default: '5' } },
  });
  const builds = numberOf('builds', values.builds, 3);
  const workers = numberOf('workers', values.workers, 1);
  const shares = sharesOf(builds).map((share) => `${share.builds} of ${share.tenant}`);
  say(`${workers} workers with ${slotsEach} slots each drain ${builds} builds: ${shares.join(', then ')} …\n`);
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      interrupted.abort(new Error('Interrupted.'));
    });
  }
  const server = await startRunServer();
  try {
    const limitMs = 60_000 + builds * limitMsEach;
    const result = await drain({ builds, workers, slotsEach, limitMs, signal: interrupted.signal });
    const faults = faultsOf(result, workers * slotsEach);
    say(reportOf(result));
    for (const fault of faults) say(fault);
    say(faults.length === 0 ? 'Fair: no small tenant was behind a bigger one.' : `${faults.length} faults`);
    if (faults.length > 0) process.exitCode = 1;
  } finally {
    await stopRunServer(server);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
