import { readFileSync } from 'node:fs';
import path from 'node:path';
import { LogClient } from '../e2e/build-logs/log-client';
import { BuildRepository } from '../support/build-repository';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { Service } from '../support/service';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const mebibyte = 1_024 * 1_024;
const stalledClients = 20;
/** Some 25 MB. */
const count = 25_000;
const width = 1_000;

const repository = new BuildRepository();
let database: TestPostgres;
let api: Service;
let worker: Service;
let tenant: Tenant;
let buildId: string;
let stalled: LogClient[];
let quick: LogClient;
let rssBefore: number;
let rssAfter: number;
let receivedByStalled: number[];

/** What the memory of a process holds, in bytes. */
function rssOf(pid: number): number {
  const [, kilobytes = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}

/** The most that the API process ever buffered for one connection, in bytes. */
function mostBuffered(): number {
  const texts = api.output.map((line) => /^\{"socketMeter":\{"most":(\d+)\}\}$/.exec(line)?.[1]);
  return Math.max(...texts.map((text) => Number(text ?? 0)));
}

const numbersOf = (client: LogClient): number[] =>
  client.lines.filter((line) => /^\d+ x+$/.test(line)).map((line) => Number.parseInt(line, 10));

beforeAll(async () => {
  const print = `BEGIN { line = sprintf("%${width}s", ""); gsub(/ /, "x", line); for (i = 1; i <= ${count}; i++) print i, line }`;
  repository.script('main', `RUN awk '${print}'`);
  database = await startTestPostgres();
  const start = (settings: Record<string, string>): Promise<Service> =>
    Service.start({ databaseUrl: database.url, settings: { ...repository.settings, ...settings } });
  const meter = { NODE_OPTIONS: `--require ${path.join(__dirname, '..', 'support', 'socket-meter.cjs')}` };
  [api, worker] = await Promise.all([start({ ROLES: 'api', ...meter }), start({ ROLES: 'worker' })]);
  tenant = await Tenant.make(api);
  const project = await tenant.project({ repository_url: repository.git.url });
  buildId = (await tenant.create(project, { branch: 'main' })).id;

  stalled = await Promise.all(Array.from({ length: stalledClients }, () => tenant.follow(buildId)));
  quick = await tenant.follow(buildId);
  for (const { socket } of stalled) socket.pause();
  rssBefore = rssOf(api.pid);
  await tenant.start(buildId);
  await quick.closed;
  // What the service has for a stalled client now, it keeps until that client reads.
  await waitUntil(() => mostBuffered() > 0);
  rssAfter = rssOf(api.pid);
  receivedByStalled = stalled.map(({ messages }) => messages.length);
}, 120_000);

afterAll(async () => {
  for (const { socket } of stalled) socket.terminate();
  await Promise.all([api.stop(), worker.stop()]);
  await database.stop();
  repository.remove();
});

describe(`${stalledClients} clients that stop reading while a build prints 25 MB`, () => {
  it('keep no other reader from any line, up to the end', async () => {
    expect(await quick.closed).toEqual({ code: 1000, reason: 'success' });
    expect(numbersOf(quick)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    expect(Math.max(...receivedByStalled)).toBeLessThan(count);
  });

  it('have at most 1 MiB buffered each by the service', () => {
    expect(mostBuffered()).toBeGreaterThan(mebibyte / 8);
    expect(mostBuffered()).toBeLessThanOrEqual(mebibyte);
    // Besides the buffers, what the heap grows by under load.
    expect(rssAfter - rssBefore).toBeLessThan((stalledClients + 150) * mebibyte);
  });

  it('get every line, in order, once they read again', async () => {
    const [first, second] = stalled;
    for (const client of [first, second]) {
      client?.socket.resume();
      expect(await client?.closed).toEqual({ code: 1000, reason: 'success' });
      expect(client?.messages).toEqual(quick.messages);
    }
    expect(mostBuffered()).toBeLessThanOrEqual(mebibyte);
  });
});
