import { randomInt, randomUUID } from 'node:crypto';
import { LogUpkeepRepository } from '../../../src/build-logs/log-upkeep.repository';
import { logEntry, logLevels } from '../../../src/build-logs/log-entry';
import { query } from '../../../src/database/query';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp } from './log-app';

const tenant = randomUUID();
let postgres: TestPostgres;
let app: LogApp;
let upkeep: LogUpkeepRepository;

beforeAll(async () => {
  postgres = await startTestPostgres();
  app = await LogApp.start({ databaseUrl: postgres.url });
  upkeep = app.app.get(LogUpkeepRepository);
});

afterAll(async () => {
  await app.stop();
  await postgres.stop();
});

const kib = 1_024;

/** A log with a chunk of random lines for each number, which says about how many bytes it has. */
async function logOf(...chunks: readonly number[]): Promise<string> {
  const buildId = await app.createLog(tenant);
  await app.source.transaction(async (manager) => {
    for (const [index, bytes] of chunks.entries()) {
      const level = logLevels[index % logLevels.length] ?? 'INFO';
      const texts = Array.from({ length: Math.ceil(bytes / 2_000) }, (_, line) =>
        `${index}.${line} `.padEnd(Math.min(bytes, 1_900), 'ä\n"'),
      );
      await app.repository.append(
        manager,
        buildId,
        texts.map((text) => logEntry(level, text)),
      );
    }
  });
  return buildId;
}

interface Chunk {
  readonly firstLine: number;
  readonly bytes: number;
}

const chunksOf = (buildId: string): Promise<Chunk[]> =>
  query<Chunk>(
    app.source,
    `SELECT first_line AS "firstLine", octet_length(lines) AS bytes FROM build_log_chunks
     WHERE build_id = $1 ORDER BY first_line`,
    [buildId],
  );

const levelsOf = (buildId: string): Promise<object[]> =>
  query(
    app.source,
    `SELECT sum(line_count) AS lines, sum(debug_count) AS debug, sum(info_count) AS info, sum(warn_count) AS warn,
            sum(error_count) AS error FROM build_log_chunks WHERE build_id = $1`,
    [buildId],
  );

async function textOf(buildId: string): Promise<string[]> {
  const { totalLines, lines } = (await app.repository.read(buildId, tenant, 0, 100_000)) ?? {
    totalLines: -1,
    lines: '',
  };
  const all = lines === '' ? [] : lines.split('\n');
  expect(all).toHaveLength(totalLines);
  return all;
}

async function compactAll(): Promise<number> {
  let windows = 0;
  while (await upkeep.compactNext()) windows += 1;
  return windows;
}

describe('compaction', () => {
  it('joins the small chunks of a closed log and keeps every line, its number and the levels', async () => {
    const buildId = await logOf(...Array.from({ length: 1_500 }, () => randomInt(50, 4 * kib)));
    await app.close(buildId, 'success', 'the end');
    const [text, levels] = [await textOf(buildId), await levelsOf(buildId)];
    const bytes = (await chunksOf(buildId)).reduce((sum, chunk) => sum + chunk.bytes, 0);
    expect(await compactAll()).toBeGreaterThan(2);
    expect(await textOf(buildId)).toEqual(text);
    expect(await levelsOf(buildId)).toEqual(levels);
    const after = await chunksOf(buildId);
    expect(after.length).toBeLessThan(bytes / (48 * kib) + 2);
    expect(Math.max(...after.map((chunk) => chunk.bytes))).toBeLessThan(80 * kib);
  });

  it('comes to an end with more chunks of a few bytes than one window takes', async () => {
    const buildId = await logOf(...Array.from({ length: 2_100 }, () => 1));
    await app.close(buildId, 'failed');
    const text = await textOf(buildId);
    await compactAll();
    expect((await chunksOf(buildId)).length).toBeLessThan(10);
    expect(await textOf(buildId)).toEqual(text);
  });

  it('leaves chunks alone that are large already, and logs that are open or deleted', async () => {
    const [large, open, deleted, empty] = [
      await logOf(200_000, 200_000),
      await logOf(9, 9),
      await logOf(9, 9),
      await logOf(),
    ];
    for (const buildId of [large, deleted, empty]) await app.close(buildId, 'success');
    await app.repository.markDeleted(app.source.manager, [deleted]);
    const before = await chunksOf(large);
    expect(await compactAll()).toBe(2);
    expect(await chunksOf(large)).toEqual(before);
    expect(await chunksOf(open)).toHaveLength(2);
    expect(await chunksOf(deleted)).toHaveLength(2);
    expect(await compactAll()).toBe(0);
  });

  it('shows readers beside it no wrong page', async () => {
    const buildId = await logOf(...Array.from({ length: 2_500 }, () => randomInt(50, 2 * kib)));
    await app.close(buildId, 'success');
    const text = await textOf(buildId);
    let isDone = false;
    const reader = async (): Promise<number> => {
      let pages = 0;
      for (; !isDone || pages === 0; pages += 1) {
        const [offset, limit] = [randomInt(text.length), randomInt(1, 1_000)];
        const expected = text.slice(offset, offset + limit).join('\n');
        expect(await app.repository.read(buildId, tenant, offset, limit)).toMatchObject({ lines: expected });
        const page = await app.repository.page(buildId, offset, limit, 16 * kib);
        expect(page.lines).toBe(text.slice(offset, offset + page.lineCount).join('\n'));
      }
      return pages;
    };
    const readers = [reader(), reader(), reader()];
    await compactAll();
    isDone = true;
    expect((await Promise.all(readers)).reduce((sum, pages) => sum + pages, 0)).toBeGreaterThan(3);
    expect(await textOf(buildId)).toEqual(text);
  });

  it('by two janitors at once joins each chunk once', async () => {
    const buildId = await logOf(...Array.from({ length: 1_500 }, () => randomInt(50, 4 * kib)));
    await app.close(buildId, 'success');
    const text = await textOf(buildId);
    await Promise.all([compactAll(), compactAll(), compactAll()]);
    await compactAll();
    expect(await textOf(buildId)).toEqual(text);
  });
});

describe('a purge', () => {
  const purge = (buildId: string): Promise<boolean> =>
    app.source.transaction((manager) => upkeep.purge(manager, buildId));

  const rowsOf = async (buildId: string): Promise<number> => {
    const sql = 'SELECT build_id FROM build_logs WHERE build_id = $1';
    return (await query(app.source, sql, [buildId])).length + (await chunksOf(buildId)).length;
  };

  it('removes a log in batches, and nothing of another', async () => {
    const [buildId, other] = [await logOf(...Array.from({ length: 1_100 }, () => 9)), await logOf(9)];
    await app.repository.markDeleted(app.source.manager, [buildId]);
    const answers = [await purge(buildId), await purge(buildId), await purge(buildId)];
    expect(answers).toEqual([false, false, true]);
    expect([await rowsOf(buildId), await rowsOf(other)]).toEqual([0, 2]);
    expect(await purge(buildId)).toBe(true);
  });

  it('waits for a compaction that is under way, and leaves none of its chunks behind', async () => {
    const buildId = await logOf(...Array.from({ length: 300 }, () => 2 * kib));
    await app.close(buildId, 'success');
    const compacting = compactAll();
    await app.repository.markDeleted(app.source.manager, [buildId]);
    while (!(await purge(buildId)));
    await compacting;
    expect(await rowsOf(buildId)).toBe(0);
  });
});
