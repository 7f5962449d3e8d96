import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { logEntry } from '../../../src/build-logs/log-entry';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp } from './log-app';
import { LogClient } from './log-client';

const tenant = randomUUID();
let postgres: TestPostgres;
let writing: LogApp;
/** Replicas on the same database; one hears and hardly polls, the other polls often. */
let hearing: LogApp;
let polling: LogApp;
let token: string;

beforeAll(async () => {
  postgres = await startTestPostgres();
  const databaseUrl = postgres.url;
  writing = await LogApp.start({ databaseUrl });
  hearing = await LogApp.start({ databaseUrl, stream: { pollMs: 3_600_000 } });
  polling = await LogApp.start({ databaseUrl, stream: { pollMs: 200 } });
  token = writing.token(tenant, { seconds: 600 });
});

afterAll(async () => {
  await Promise.all([writing, hearing, polling].map((app) => app.stop()));
  await postgres.stop();
});

it('shows on one replica what another one stores, to the end', async () => {
  const buildId = await writing.createLog(tenant);
  const writer = await writing.openWriter(buildId);
  const client = await LogClient.open(hearing.streamUrl(buildId), token);
  for (let line = 0; line < 3_000; line += 1) {
    await writer.write(logEntry('INFO', `line ${line}`));
    if (line === 1_000) await client.received(900);
  }
  await writing.finish(writer, 'failed', [logEntry('ERROR', 'the end')]);
  await expect(client.closed).resolves.toEqual({ code: 1000, reason: 'failed' });
  expect(client.lines).toEqual([...Array.from({ length: 3_000 }, (_, line) => `line ${line}`), 'the end']);
});

it('reads once for all its subscribers', async () => {
  const buildId = await writing.createLog(tenant);
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => LogClient.open(hearing.streamUrl(buildId), token)),
  );
  await writing.append(buildId, 'first');
  await Promise.all(clients.map((client) => client.received(1)));
  const pages = jest.spyOn(hearing.repository, 'page');
  const heads = jest.spyOn(hearing.repository, 'heads');
  await writing.append(buildId, 'second');
  await Promise.all(clients.map((client) => client.received(2)));
  await writing.close(buildId, 'success');
  await Promise.all(clients.map((client) => client.closed));
  expect(pages.mock.calls.length).toBeLessThanOrEqual(2);
  expect(heads.mock.calls.length).toBeLessThanOrEqual(4);
  pages.mockRestore();
  heads.mockRestore();
  expect(clients.every(({ lines }) => lines.join() === 'first,second')).toBe(true);
});

it('shows lines, the end and a deletion of which no notification tells', async () => {
  const [buildId, deleted] = [await writing.createLog(tenant), await writing.createLog(tenant)];
  const client = await LogClient.open(polling.streamUrl(buildId), token);
  const other = await LogClient.open(polling.streamUrl(deleted), token);
  const { manager } = writing.source;
  await writing.repository.append(manager, buildId, [logEntry('INFO', 'unheard')]);
  await client.received(1);
  await writing.repository.close(manager, buildId, 'cancelled', [logEntry('INFO', 'stopped')]);
  await writing.repository.markDeleted(manager, [deleted]);
  await expect(client.closed).resolves.toEqual({ code: 1000, reason: 'cancelled' });
  await expect(other.closed).resolves.toMatchObject({ code: 4404 });
  expect(client.lines).toEqual(['unheard', 'stopped']);
});

it('looks at everything again when its ear was cut off and is back', async () => {
  const buildId = await writing.createLog(tenant);
  const client = await LogClient.open(hearing.streamUrl(buildId), token);
  await writing.append(buildId, 'before');
  await client.received(1);
  const admin = new Client({ connectionString: postgres.adminUrl });
  await admin.connect();
  await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'image-factory %' AND pid <> pg_backend_pid()`,
  );
  await admin.end();
  await writing.append(buildId, 'meanwhile');
  await client.received(2);
  await writing.append(buildId, 'after');
  await client.received(3);
  expect(client.lines).toEqual(['before', 'meanwhile', 'after']);
  client.socket.terminate();
  await client.closed;
});

it('sees a client through from one replica to the next by offset', async () => {
  const buildId = await writing.createLog(tenant);
  await writing.append(buildId, 'a', 'b');
  const first = await LogClient.open(hearing.streamUrl(buildId), token);
  await first.received(2);
  first.socket.terminate();
  await writing.append(buildId, 'c');
  const second = await LogClient.open(polling.streamUrl(buildId, first.messages.length), token);
  await writing.close(buildId, 'success', 'd');
  await second.closed;
  expect([...first.lines, ...second.lines]).toEqual(['a', 'b', 'c', 'd']);
});
