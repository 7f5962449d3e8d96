import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { logEntry } from '../../../src/build-logs/log-entry';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp } from './log-app';
import { LogClient, type LogMessage } from './log-client';

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

/** Every line of a log by GET /logs, page after page, as the stream would have sent it. */
async function allLines(buildId: string, limit = 1000): Promise<LogMessage[]> {
  const lines: LogMessage[] = [];
  for (;;) {
    const { body } = await app.get(`/builds/${buildId}/logs?offset=${lines.length}&limit=${limit}`, token);
    const { logs, total_lines: total } = body as { logs: Omit<LogMessage, 'build_id'>[]; total_lines: number };
    lines.push(...logs.map((entry) => ({ build_id: buildId, ...entry })));
    if (lines.length >= total) return lines;
  }
}

it('replays from line 0, goes on live, and closes 1000 with the outcome after the last line', async () => {
  const buildId = await app.createLog(tenant);
  await app.append(buildId, 'one', 'two');
  const client = await LogClient.open(app.streamUrl(buildId), token);
  await client.received(2);
  await app.append(buildId, 'three');
  await client.received(3);
  await app.close(buildId, 'success', 'four');
  await expect(client.closed).resolves.toEqual({ code: 1000, reason: 'success' });
  expect(client.lines).toEqual(['one', 'two', 'three', 'four']);
  expect(client.messages).toEqual(await allLines(buildId));
});

it('sends one text frame a line with exactly the fields of the contract, whatever the line holds', async () => {
  const buildId = await app.createLog(tenant);
  const odd = ['', 'ü €  🏗', '{"a":1}', 'tab\t"quoted"\\ \u001b[31mred', 'x'.repeat(70_000), 'line\nbreak\r\n'];
  const entries = odd.map((message, index) => logEntry('WARN', message, index % 2 ? { step: 'build 1/2' } : null));
  app.publisher.publish(await app.repository.append(app.source.manager, buildId, entries));
  await app.close(buildId, 'failed');
  const client = await LogClient.open(app.streamUrl(buildId), token);
  await client.closed;
  expect(client.messages).toEqual(entries.map((entry) => ({ build_id: buildId, ...entry })));
  expect(Object.keys(client.messages[0] ?? {})).toEqual(['build_id', 'timestamp', 'level', 'message', 'metadata']);
});

it('starts at the offset, and waits for it when the log is shorter', async () => {
  const buildId = await app.createLog(tenant);
  await app.append(buildId, 'a', 'b', 'c');
  const late = await LogClient.open(app.streamUrl(buildId, 2), token);
  const future = await LogClient.open(app.streamUrl(buildId, 4), token);
  await late.received(1);
  await app.append(buildId, 'd', 'e');
  await app.close(buildId, 'success');
  await Promise.all([late.closed, future.closed]);
  expect(late.lines).toEqual(['c', 'd', 'e']);
  expect(future.lines).toEqual(['e']);
});

it('closes 1000 at once when the offset lies behind the end of a closed log', async () => {
  const buildId = await app.createLog(tenant);
  await app.close(buildId, 'cancelled', 'stopped');
  const client = await LogClient.open(app.streamUrl(buildId, Number.MAX_SAFE_INTEGER), token);
  await expect(client.closed).resolves.toEqual({ code: 1000, reason: 'cancelled' });
  expect(client.lines).toEqual([]);
});

it('closes 4404 when the build is deleted', async () => {
  const buildId = await app.createLog(tenant);
  await app.append(buildId, 'one');
  const client = await LogClient.open(app.streamUrl(buildId), token);
  await client.received(1);
  const [deleted = null] = await app.repository.markDeleted(app.source.manager, [buildId]);
  app.publisher.publish(deleted);
  await expect(client.closed).resolves.toMatchObject({ code: 4404 });
  const { status } = await app.get(`/builds/${buildId}/logs`, token);
  expect(status).toBe(404);
});

it('closes 4401 when the token expires', async () => {
  const buildId = await app.createLog(tenant);
  const client = await LogClient.open(app.streamUrl(buildId), app.token(tenant, { seconds: 1 }));
  await expect(client.closed).resolves.toMatchObject({ code: 4401 });
});

it('ignores what a client says, and closes 1009 when it says too much', async () => {
  const buildId = await app.createLog(tenant);
  const client = await LogClient.open(app.streamUrl(buildId), token);
  const other = await LogClient.open(app.streamUrl(buildId), token);
  client.socket.send(JSON.stringify({ event: 'message', data: 'hello' }));
  client.socket.send('not JSON');
  client.socket.send('x'.repeat(4096));
  await app.append(buildId, 'one');
  await Promise.all([client.received(1), other.received(1)]);
  client.socket.send('x'.repeat(4097));
  await expect(client.closed).resolves.toMatchObject({ code: 1009 });
  await app.close(buildId, 'success');
  await other.closed;
  expect(other.lines).toEqual(['one']);
});

it('pings, and ends a client that does not answer and has nothing left to read', async () => {
  const quick = await LogApp.start({ databaseUrl: postgres.url, stream: { pingMs: 300 } });
  try {
    const buildId = await quick.createLog(tenant);
    const good = await LogClient.open(quick.streamUrl(buildId), token);
    const mute = await LogClient.open(quick.streamUrl(buildId), token, { autoPong: false });
    await expect(mute.closed).resolves.toMatchObject({ code: 1006 });
    expect(good.pings).toBeGreaterThan(0);
    await sleep(700);
    expect(good.socket.readyState).toBe(good.socket.OPEN);
    await quick.close(buildId, 'success');
    await expect(good.closed).resolves.toMatchObject({ code: 1000 });
  } finally {
    await quick.stop();
  }
});

it('closes 1001 when the server shuts down, and ends whoever does not answer', async () => {
  const other = await LogApp.start({ databaseUrl: postgres.url });
  const buildId = await other.createLog(tenant);
  const client = await LogClient.open(other.streamUrl(buildId), token);
  const frozen = await LogClient.open(other.streamUrl(buildId), token);
  frozen.socket.pause();
  await other.stop();
  await expect(client.closed).resolves.toMatchObject({ code: 1001 });
  frozen.socket.resume();
  await frozen.closed;
});

it('gives 20,000 lines to a client that drops its connection at random, and to others beside it', async () => {
  const total = 20_000;
  const buildId = await app.createLog(tenant);
  const writer = await app.openWriter(buildId);
  const steady = await LogClient.open(app.streamUrl(buildId), token);
  const writing = (async () => {
    for (let line = 0; line < total; line += 1) {
      await writer.write(logEntry('INFO', `line ${line} ${'.'.repeat(line % 80)}`, { step: 'build 1/1' }));
      if (line % 250 === 0) await sleep(Math.random() * 12);
    }
    await app.finish(writer, 'success', [logEntry('INFO', 'the end')]);
  })();

  const seen: LogMessage[] = [];
  let drops = 0;
  for (;;) {
    const client = await LogClient.open(app.streamUrl(buildId, seen.length), token);
    const patience = 1 + Math.floor(Math.random() * 1500);
    const end = await Promise.race([client.closed, client.received(patience)]);
    client.socket.terminate();
    await client.closed;
    seen.push(...client.messages);
    if (end?.code === 1000) break;
    drops += 1;
  }
  await writing;
  await expect(steady.closed).resolves.toEqual({ code: 1000, reason: 'success' });
  const late = await LogClient.open(app.streamUrl(buildId), token);
  await late.closed;

  const stored = await allLines(buildId);
  expect(drops).toBeGreaterThan(5);
  expect(stored).toHaveLength(total + 1);
  expect(stored.every(({ message }, line) => line === total || message.startsWith(`line ${line} `))).toBe(true);
  expect(seen).toEqual(stored);
  expect(steady.messages).toEqual(stored);
  expect(late.messages).toEqual(stored);
});
