// How long a printed line takes to a subscriber at another process, and the least that it could take: `npm run
// bench:wake-delay`. A real build prints a line each 150 ms with its own time; one machine has one clock.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import { Client } from 'pg';
import { BuildRepository } from '../test/support/build-repository';
import { Cluster } from '../test/support/cluster';
import { OwnPostgres } from '../test/support/own-postgres';
import { Tenant } from '../test/support/tenant';
import { waitUntil } from '../test/support/wait-until';
import { wallClockMs } from './wall-clock';

const samples = 150;
const pauseMs = 150;
/** Of both medians on an idle machine; ms. */
const mostMedianMs = 20;

interface Delays {
  readonly median: number;
  readonly p99: number;
}

function summary(delays: readonly number[]): Delays {
  const sorted = [...delays].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { median: at(0.5), p99: at(0.99) };
}

function say(what: string, { median, p99 }: Delays, floor?: Delays): void {
  const ratio = floor === undefined ? '' : `   ${(median / floor.median).toFixed(1)} × the floor`;
  const load = os.loadavg()[0]?.toFixed(1) ?? '?';
  process.stdout.write(
    `${what.padEnd(34)} median ${median.toFixed(1)} ms   p99 ${p99.toFixed(1)} ms${ratio}   (load ${load})\n`,
  );
}

/** The floor: a bare NOTIFY, and in another process the LISTEN for it and one SELECT. */
async function bareWakes(url: string): Promise<Delays> {
  const listener = fork(require.resolve('./bare-listener'), [url], { execArgv: process.execArgv });
  const sender = new Client({ connectionString: url });
  await sender.connect();
  await once(listener, 'message');
  const delays: number[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    const sentAt = wallClockMs();
    const [, told] = await Promise.all([sender.query('NOTIFY bench'), once(listener, 'message')]);
    delays.push(Number(told[0]) - sentAt);
    await new Promise((resolve) => setTimeout(resolve, pauseMs / 3));
  }
  await sender.end();
  listener.kill();
  return summary(delays);
}

async function main(): Promise<void> {
  const repository = new BuildRepository();
  // One `ts` a line: it would keep what it prints into a pipe until it ends.
  const tick = `while :; do echo tick | ts '%.s'; usleep ${pauseMs * 1_000}; done`;
  repository.script('ticks', `RUN ${tick}`);
  const postgres = await OwnPostgres.start({ settings: { fsync: 'on' } });
  const cluster = await Cluster.start({
    apis: 1,
    workers: 1,
    settings: repository.settings,
    databaseUrl: postgres.url,
  });
  try {
    const floor = await bareWakes(postgres.url);
    const tenant = await Tenant.make(cluster.api(0).service);
    const project = await tenant.project({ repository_url: repository.git.url });
    const build = await tenant.begin(project, { branch: 'ticks' });
    const client = await tenant.follow(build.id);
    let delays: number[] = [];
    client.socket.on('message', (data: Buffer) => {
      const arrivedAt = wallClockMs();
      const printedAt = /"message":"(\d+\.\d+) tick"/.exec(data.toString())?.[1];
      if (printedAt !== undefined) delays.push(arrivedAt - Number(printedAt) * 1_000);
    });
    const measure = async (): Promise<Delays> => {
      delays = [];
      await waitUntil(() => delays.length >= samples, samples * pauseMs * 4);
      return summary(delays);
    };
    await waitUntil(() => delays.length > 5);
    say('floor: NOTIFY, LISTEN, SELECT', floor);
    const usual = await measure();
    say('from printed to received', usual, floor);
    const listeners = `FROM pg_stat_activity WHERE application_name = 'image-factory listener'`;
    const before = await postgres.sql<{ pid: number }>(`SELECT pid, pg_terminate_backend(pid) ${listeners}`);
    await waitUntil(async () => {
      const now = await postgres.sql<{ pid: number }>(`SELECT pid ${listeners}`);
      return now.length === before.length && now.every(({ pid }) => before.every((old) => old.pid !== pid));
    });
    const reconnected = await measure();
    say('right after a reconnect', reconnected, floor);
    const slowest = Math.max(usual.median, reconnected.median);
    if (slowest > mostMedianMs)
      throw new Error(`A median exceeds ${mostMedianMs} ms: ${slowest} ms. Is this machine idle?`);
    client.socket.terminate();
    await tenant.cancel(build.id);
  } finally {
    await cluster.stop();
    await postgres.stop();
    repository.remove();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
