import { randomInt, randomUUID } from 'node:crypto';
import type { BuildLogsDto } from '../../../src/build-logs/build-logs.dto';
import { LogUpkeepRepository } from '../../../src/build-logs/log-upkeep.repository';
import { logEntry } from '../../../src/build-logs/log-entry';
import { query } from '../../../src/database/query';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp } from './log-app';
import { LogClient } from './log-client';

const tenant = randomUUID();
const days = 30;
const notice = 'The log was removed after 30 days';
let postgres: TestPostgres;
let app: LogApp;
let upkeep: LogUpkeepRepository;

beforeAll(async () => {
  postgres = await startTestPostgres();
  app = await LogApp.start({ databaseUrl: postgres.url, stream: { retryMs: 50, pageBytes: 1_024 } });
  upkeep = app.app.get(LogUpkeepRepository);
});

afterAll(async () => {
  await app.stop();
  await postgres.stop();
});

/** A closed log with chunks of so many lines each, that was closed so many days ago. */
async function oldLog(age: number, ...chunks: readonly number[]): Promise<string> {
  const buildId = await app.createLog(tenant);
  let line = 0;
  await app.source.transaction(async (manager) => {
    for (const lines of chunks) {
      const entries = Array.from({ length: lines }, () => logEntry('ERROR', `line ${(line += 1)}`));
      await app.repository.append(manager, buildId, entries);
    }
  });
  await app.repository.close(app.source.manager, buildId, 'success', []);
  await setAge(buildId, age);
  return buildId;
}

async function setAge(buildId: string, age: number): Promise<void> {
  const sql = `UPDATE build_logs SET closed_at = now() - make_interval(hours => $2) WHERE build_id = $1`;
  await query(app.source, sql, [buildId, age * 24]);
}

async function page(buildId: string, offset: number, limit = 1_000): Promise<BuildLogsDto> {
  const { status, body } = await app.get(`/builds/${buildId}/logs?offset=${offset}&limit=${limit}`, app.token(tenant));
  expect(status).toBe(200);
  return body as BuildLogsDto;
}

const chunksOf = async (buildId: string): Promise<number> =>
  (await query(app.source, 'SELECT FROM build_log_chunks WHERE build_id = $1', [buildId])).length;

async function purgeAll(): Promise<number> {
  let batches = 0;
  while (await upkeep.purgeExpired(app.source)) batches += 1;
  return batches;
}

/** What every reader sees of an expired log, whatever of its chunks is still there. */
async function expectRemoved(buildId: string): Promise<void> {
  const [whole, second, far] = [await page(buildId, 0), await page(buildId, 1), await page(buildId, 1_500)];
  expect(whole).toMatchObject({ total_lines: 1, logs: [{ level: 'INFO', message: notice }] });
  for (const past of [second, far]) expect(past).toMatchObject({ total_lines: 1, logs: [] });
  for (const [offset, lines] of [
    [0, [notice]],
    [1, []],
    [1_500, []],
  ] as const) {
    const client = await LogClient.open(app.streamUrl(buildId, offset), app.token(tenant));
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    expect(client.lines).toEqual(lines);
  }
}

describe('a log that was closed too long ago', () => {
  it.each([
    ['of many chunks', Array.from({ length: 1_200 }, () => 2)],
    ['whose first chunk is one line', [1, ...Array.from({ length: 700 }, () => 3)]],
    ['of one large chunk', [900]],
    ['without a line', []],
  ])('%s is one line that says so, at once and while the rest is purged in batches', async (_, chunks) => {
    const buildId = await oldLog(days + 1, ...chunks);
    expect(await upkeep.expire(app.source, days)).toBe(false);
    await expectRemoved(buildId);
    while (await upkeep.purgeExpired(app.source)) await expectRemoved(buildId);
    expect(await chunksOf(buildId)).toBe(1);
    expect(await upkeep.expire(app.source, days)).toBe(false);
    await expectRemoved(buildId);
  });

  it('is purged a bounded number of chunks at a time, and removed with its build', async () => {
    const buildId = await oldLog(days + 1, ...Array.from({ length: 1_200 }, () => 1));
    await upkeep.expire(app.source, days);
    await upkeep.purgeExpired(app.source);
    expect(await chunksOf(buildId)).toBe(700);
    await app.repository.markDeleted(app.source.manager, [buildId]);
    expect(await purgeAll()).toBe(0);
    while (!(await app.source.transaction((manager) => upkeep.purge(manager, buildId))));
    expect(await chunksOf(buildId)).toBe(0);
  });
});

it('leaves alone what is younger, open or deleted', async () => {
  const [young, open, deleted] = [
    await oldLog(days - 1, 5, 5),
    await app.createLog(tenant),
    await oldLog(days + 1, 5, 5),
  ];
  await app.append(open, 'a line');
  await app.repository.markDeleted(app.source.manager, [deleted]);
  await upkeep.expire(app.source, days);
  expect(await purgeAll()).toBe(0);
  expect((await page(young, 0)).logs).toHaveLength(10);
  expect((await page(open, 0)).logs).toHaveLength(1);
  expect(await chunksOf(deleted)).toBe(2);
});

it('shows readers beside it the old log or the notice, and nothing between, also beside compaction', async () => {
  const logs = await Promise.all(
    Array.from({ length: 4 }, () => oldLog(days + 1, ...Array.from({ length: 600 }, () => randomInt(1, 4)))),
  );
  const lengths = await Promise.all(logs.map(async (buildId) => (await page(buildId, 0)).total_lines));
  let isDone = false;
  const reader = async (index: number): Promise<void> => {
    const [buildId = '', total = 0] = [logs[index], lengths[index]];
    while (!isDone) {
      const [offset, limit] = [randomInt(total), randomInt(1, 200)];
      const { total_lines, logs: lines } = await page(buildId, offset, limit);
      const messages = lines.map(({ message }) => message);
      if (total_lines === 1) expect(messages).toEqual(offset === 0 ? [notice] : []);
      else
        expect(messages).toEqual(
          Array.from({ length: Math.min(limit, total - offset) }, (_, n) => `line ${offset + n + 1}`),
        );
    }
  };
  const follower = async (buildId: string): Promise<void> => {
    while (!isDone) {
      const client = await LogClient.open(app.streamUrl(buildId), app.token(tenant));
      expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
      const seen = client.lines.filter((line) => line !== notice);
      expect(seen).toEqual(Array.from({ length: seen.length }, (_, n) => `line ${n + 1}`));
    }
  };
  const beside = logs.flatMap((buildId, index) => [reader(index), follower(buildId)]);
  const compaction = (async () => {
    while (await upkeep.compactNext());
  })();
  await upkeep.compactNext();
  await upkeep.expire(app.source, days);
  await purgeAll();
  await compaction;
  // One that was being compacted just then was passed over.
  await upkeep.expire(app.source, days);
  await purgeAll();
  isDone = true;
  await Promise.all(beside);
  expect(await Promise.all(logs.map(chunksOf))).toEqual([1, 1, 1, 1]);
});

it('lets a reader that is in the midst of the log come to its end', async () => {
  const buildId = await oldLog(days - 1, ...Array.from({ length: 3_000 }, () => 10));
  const client = await LogClient.open(app.streamUrl(buildId), app.token(tenant));
  client.socket.pause();
  await setAge(buildId, days + 1);
  await upkeep.expire(app.source, days);
  await purgeAll();
  client.socket.resume();
  expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
  const seen = client.lines.filter((line) => line !== notice);
  expect(seen).toEqual(Array.from({ length: seen.length }, (_, n) => `line ${n + 1}`));
});
