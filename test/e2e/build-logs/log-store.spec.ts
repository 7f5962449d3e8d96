import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { LeaseLost } from '../../../src/build-logs/lease-lost';
import { chunksOf, type LogChunk } from '../../../src/build-logs/log-chunk';
import { logEntry } from '../../../src/build-logs/log-entry';
import { LogWriter } from '../../../src/build-logs/log-writer';
import { isDatabaseUnavailable } from '../../../src/database/database-errors';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp } from './log-app';

const tenant = randomUUID();
let postgres: TestPostgres;
let app: LogApp;
let token: string;

beforeAll(async () => {
  postgres = await startTestPostgres();
  app = await LogApp.start({ databaseUrl: postgres.url });
  token = app.token(tenant, { seconds: 600 });
});

afterAll(async () => {
  await app.stop();
  await postgres.stop();
});

function chunk(...messages: string[]): LogChunk {
  const [made] = chunksOf(messages.map((message) => logEntry('INFO', message)));
  if (made === undefined) throw new Error('a chunk has lines');
  return made;
}

interface BuildLogs {
  readonly logs: readonly { message: string }[];
  readonly total_lines: number;
}

async function read(buildId: string, offset = 0, limit = 1000): Promise<{ lines: string[]; total: number }> {
  const { status, body } = await app.get(`/builds/${buildId}/logs?offset=${offset}&limit=${limit}`, token);
  expect(status).toBe(200);
  const { logs, total_lines: total } = body as BuildLogs;
  return { lines: logs.map(({ message }) => message), total };
}

async function logWithWriter(): Promise<{ buildId: string; lease: string }> {
  const buildId = await app.createLog(tenant);
  const lease = randomUUID();
  await app.repository.setWriter(app.source.manager, buildId, lease);
  return { buildId, lease };
}

describe('the fence', () => {
  it('lets a stale token write no line', async () => {
    const { buildId, lease } = await logWithWriter();
    await app.repository.flush({ buildId, token: lease, seq: 1, chunk: chunk('mine') });
    await app.repository.setWriter(app.source.manager, buildId, randomUUID());
    const stale = app.repository.flush({ buildId, token: lease, seq: 2, chunk: chunk('stale') });
    await expect(stale).rejects.toBeInstanceOf(LeaseLost);
    expect(await read(buildId)).toEqual({ lines: ['mine'], total: 1 });
  });

  it('lets a writer that waited behind the closing transaction write no line', async () => {
    const { buildId, lease } = await logWithWriter();
    const late = await app.source.transaction(async (manager) => {
      await app.repository.close(manager, buildId, 'failed', [logEntry('ERROR', 'worker lost')]);
      const waiting = app.repository.flush({ buildId, token: lease, seq: 1, chunk: chunk('late') });
      await sleep(100);
      return { waiting };
    });
    await expect(late.waiting).rejects.toBeInstanceOf(LeaseLost);
    expect(await read(buildId)).toEqual({ lines: ['worker lost'], total: 1 });
  });

  it('stores a repeated flush once, and tells the readers to look', async () => {
    const { buildId, lease } = await logWithWriter();
    const flush = { buildId, token: lease, seq: 1, chunk: chunk('a', 'b') };
    await expect(app.repository.flush(flush)).resolves.toMatchObject({ firstLine: 0, totalLines: 2 });
    await expect(app.repository.flush(flush)).resolves.toMatchObject({ firstLine: 2, totalLines: 2, lines: '' });
    await expect(app.repository.flush({ ...flush, seq: 3 })).rejects.toBeInstanceOf(LeaseLost);
    expect(await read(buildId)).toEqual({ lines: ['a', 'b'], total: 2 });
  });

  it('stops the writer of a deleted log, and takes nothing more from the API', async () => {
    const { buildId, lease } = await logWithWriter();
    const manager = app.source.manager;
    await expect(app.repository.markDeleted(manager, [buildId])).resolves.toMatchObject([{ ended: true }]);
    await expect(app.repository.markDeleted(manager, [buildId])).resolves.toEqual([]);
    const flush = app.repository.flush({ buildId, token: lease, seq: 1, chunk: chunk('late') });
    await expect(flush).rejects.toBeInstanceOf(LeaseLost);
    await expect(app.repository.append(manager, buildId, [logEntry('INFO', 'late')])).resolves.toBeNull();
    await expect(app.repository.close(manager, buildId, 'failed', [], lease)).resolves.toBeNull();
  });

  it('closes by the writer only, with all lines or none', async () => {
    const { buildId, lease } = await logWithWriter();
    const many = Array.from({ length: 2_500 }, (_, line) => logEntry('INFO', `line ${line}`));
    const manager = app.source.manager;
    await expect(app.repository.close(manager, buildId, 'success', many, randomUUID())).resolves.toBeNull();
    expect(await read(buildId)).toEqual({ lines: [], total: 0 });
    await app.source.transaction((inside) => app.repository.close(inside, buildId, 'success', many, lease));
    expect((await read(buildId, 2_499)).total).toBe(2_500);
    await expect(app.repository.close(manager, buildId, 'failed', [])).resolves.toBeNull();
    await expect(app.repository.head(buildId, tenant)).resolves.toMatchObject({ outcome: 'success' });
  });

  it('holds for any interleaving of two leases: each stored batch once, no batch of a lease after the next began', async () => {
    type Step = 'flush old' | 'flush new' | 'repeat old' | 'repeat new' | 'take over' | 'append' | 'close new';
    const steps = fc.array(
      fc.constantFrom<Step>('flush old', 'flush new', 'repeat old', 'repeat new', 'take over', 'append', 'close new'),
      { maxLength: 14 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (run) => {
        const { buildId, lease } = await logWithWriter();
        const next = randomUUID();
        const seqs = { old: 0, new: 0 };
        const model: string[] = [];
        let owner: 'old' | 'new' = 'old';
        let isClosed = false;
        for (const [index, step] of run.entries()) {
          const [verb, who] = step.split(' ') as [string, 'old' | 'new'];
          const line = `${step} ${index}`;
          const writer = who === 'old' ? lease : next;
          if (verb === 'take') {
            // A build whose log is closed is never claimed.
            if (isClosed) continue;
            owner = 'new';
            seqs.new = 0;
            await app.repository.setWriter(app.source.manager, buildId, next);
          } else if (verb === 'append') {
            const stored = await app.repository.append(app.source.manager, buildId, [logEntry('INFO', line)]);
            expect(stored === null).toBe(isClosed);
            if (!isClosed) model.push(line);
          } else if (verb === 'close') {
            const stored = await app.repository.close(app.source.manager, buildId, 'success', [], next);
            expect(stored !== null).toBe(!isClosed && owner === 'new');
            isClosed ||= owner === 'new';
          } else {
            const seq = verb === 'flush' ? seqs[who] + 1 : seqs[who];
            const mayStore = owner === who && !isClosed && verb === 'flush';
            const wasStored = owner === who && !isClosed && verb === 'repeat';
            const flushed = app.repository.flush({ buildId, token: writer, seq, chunk: chunk(line) });
            if (mayStore || wasStored) await flushed;
            else await expect(flushed).rejects.toBeInstanceOf(LeaseLost);
            if (!mayStore) continue;
            seqs[who] = seq;
            model.push(line);
          }
        }
        expect((await read(buildId)).lines).toEqual(model);
      }),
      { numRuns: 40 },
    );
  });

  it('stores what one of two writers at once wrote, in order, and nothing of the other after the take-over', async () => {
    for (let round = 0; round < 5; round += 1) {
      const buildId = await app.createLog(tenant);
      const first = await app.openWriter(buildId);
      for (let line = 0; line < 300; line += 1) void first.write(logEntry('INFO', `first ${line}`));
      await sleep(Math.random() * 5);
      const second = await app.openWriter(buildId);
      for (let line = 0; line < 300; line += 1) {
        void first.write(logEntry('INFO', `first late ${line}`));
        void second.write(logEntry('INFO', `second ${line}`));
        if (line % 50 === 0) await sleep(1);
      }
      await expect(first.lost).resolves.toBeInstanceOf(LeaseLost);
      await app.finish(second, 'success', [logEntry('INFO', 'second end')]);
      const { lines } = await read(buildId);
      const taken = lines.findIndex((line) => line.startsWith('second'));
      const expected = [...Array.from({ length: 300 }, (_, line) => `second ${line}`), 'second end'];
      expect(lines.slice(taken)).toEqual(expected);
      expect(
        lines.slice(0, taken).every((line, index) => line === `first ${index}` || line.startsWith('first late')),
      ).toBe(true);
    }
  });
});

describe('the writer, when the database fails it', () => {
  it('repeats a flush whose commit was not acknowledged, and stores each line once', async () => {
    const { buildId, lease } = await logWithWriter();
    let calls = 0;
    const writer = new LogWriter({
      buildId,
      token: lease,
      store: {
        flush: async (flush) => {
          const stored = await app.repository.flush(flush);
          calls += 1;
          if (calls % 2 === 1)
            throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
          return stored;
        },
        closeWith: (...args) => app.repository.closeWith(...args),
      },
      onStored: () => undefined,
      isTrouble: isDatabaseUnavailable,
    });
    const wanted = Array.from({ length: 30 }, (_, line) => `line ${line}`);
    for (const line of wanted) {
      await writer.write(logEntry('INFO', line));
      await sleep(2);
    }
    await writer.drain();
    expect(calls).toBeGreaterThan(2);
    expect((await read(buildId)).lines).toEqual(wanted);
  });

  it('loses and doubles nothing while its connections are cut again and again', async () => {
    const buildId = await app.createLog(tenant);
    const writer = await app.openWriter(buildId);
    const admin = new Client({ connectionString: postgres.adminUrl });
    await admin.connect();
    const wanted = Array.from({ length: 3_000 }, (_, line) => `line ${line}`);
    let cuts = 0;
    for (const [index, line] of wanted.entries()) {
      await writer.write(logEntry('INFO', line));
      if (index % 10 === 0) await sleep(1);
      if (index % 200 !== 100) continue;
      const { rowCount } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'image-factory'`,
      );
      cuts += rowCount ?? 0;
    }
    await admin.end();
    await app.finish(writer, 'success', []);
    expect(cuts).toBeGreaterThan(5);
    const lines = [
      ...(await read(buildId)).lines,
      ...(await read(buildId, 1_000)).lines,
      ...(await read(buildId, 2_000)).lines,
    ];
    expect(lines).toEqual(wanted);
  });

  it('closes with the lines that still wait, and again when the transaction failed', async () => {
    const buildId = await app.createLog(tenant);
    const writer = await app.openWriter(buildId);
    await writer.write(logEntry('INFO', 'one'));
    await writer.drain();
    const last = [logEntry('INFO', 'done')];
    const failed = app.source.transaction(async (manager) => {
      await writer.finish(manager, 'success', last);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    expect(await read(buildId)).toEqual({ lines: ['one'], total: 1 });
    await app.finish(writer, 'success', last);
    expect(await read(buildId)).toEqual({ lines: ['one', 'done'], total: 2 });
  });
});

describe('pages', () => {
  it('equal a plain list at every boundary, however the lines were cut into chunks', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 60 }))), async (cut, asked) => {
        const { buildId, lease } = await logWithWriter();
        const model: string[] = [];
        for (const [index, size] of cut.entries()) {
          const lines = Array.from({ length: size }, (_, line) => `chunk ${index} line ${line}, ü`);
          await app.repository.flush({ buildId, token: lease, seq: index + 1, chunk: chunk(...lines) });
          model.push(...lines);
        }
        for (const [offset, limit] of [...asked, [0, 1000], [model.length, 1], [model.length - 1, 1]] as const) {
          const page = await read(buildId, offset, limit);
          expect(page).toEqual({ lines: model.slice(offset, offset + limit), total: model.length });
          const streamed = await app.repository.page(buildId, offset, limit, 200);
          const texts = streamed.lines === '' ? [] : streamed.lines.split('\n');
          expect(texts).toHaveLength(streamed.lineCount);
          const messages = texts.map((text) => (JSON.parse(text) as { message: string }).message);
          expect(messages).toEqual(model.slice(offset, offset + streamed.lineCount));
          if (offset < model.length) expect(messages.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('have the shape of the contract, defaults and huge offsets included', async () => {
    const buildId = await app.createLog(tenant);
    await app.append(buildId, 'one');
    const { body, type } = await app.get(`/builds/${buildId.toUpperCase()}/logs`, token);
    expect(type).toBe('application/json; charset=utf-8');
    const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string;
    const logs = [{ timestamp, level: 'INFO', message: 'one', metadata: null }];
    expect(body).toEqual({ build_id: buildId, logs, total_lines: 1, offset: 0, limit: 100 });
    const far = await app.get(`/builds/${buildId}/logs?offset=9007199254740991`, token);
    expect(far.body).toEqual({
      build_id: buildId,
      logs: [],
      total_lines: 1,
      offset: 9_007_199_254_740_991,
      limit: 100,
    });
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['offset=-1', 'offset'],
    ['offset=9007199254740993', 'offset'],
    ['offset=0x10', 'offset'],
  ])('refuse %s with 400', async (query, field) => {
    const buildId = await app.createLog(tenant);
    const { status, body } = await app.get(`/builds/${buildId}/logs?${query}`, token);
    expect({ status, body }).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST', details: { [field]: expect.any(String) as string } },
    });
  });

  it('of an absent, a foreign and a deleted build are the same 404; the permission comes first', async () => {
    const foreign = await app.createLog(randomUUID());
    const deleted = await app.createLog(tenant);
    await app.repository.markDeleted(app.source.manager, [deleted]);
    for (const id of [randomUUID(), foreign, deleted]) {
      const { status, body } = await app.get(`/builds/${id}/logs`, token);
      expect({ status, body }).toMatchObject({ status: 404, body: { error: 'Build not found', details: null } });
    }
    const weak = app.token(tenant, { permissions: ['build:list'] });
    expect((await app.get(`/builds/${foreign}/logs?limit=0`, weak)).status).toBe(403);
    expect((await app.get('/builds/x/logs', token)).status).toBe(400);
  });
});
