import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { logEntry } from '../../../src/build-logs/log-entry';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp, type LogAppOptions } from './log-app';
import { LogClient } from './log-client';

const tenant = randomUUID();
const mebibyte = 1_024 * 1_024;
let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startTestPostgres();
});

afterAll(async () => {
  await postgres.stop();
});

/** An application that remembers the most that was ever buffered for any one connection. */
async function measuredApp(
  stream: LogAppOptions['stream'] = {},
): Promise<{ app: LogApp; most: () => number; stop: () => Promise<void> }> {
  const app = await LogApp.start({ databaseUrl: postgres.url, stream });
  const sockets = new Set<Socket>();
  (app.app.getHttpServer() as Server).on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  let most = 0;
  const timer = setInterval(() => {
    for (const socket of sockets) most = Math.max(most, socket.writableLength);
  }, 2);
  return {
    app,
    most: () => most,
    stop: async () => {
      clearInterval(timer);
      await app.stop();
    },
  };
}

/** Writes lines of some 1,000 bytes. */
async function write(app: LogApp, buildId: string, count: number): Promise<void> {
  const writer = await app.openWriter(buildId);
  for (let line = 0; line < count; line += 1) await writer.write(logEntry('INFO', `${line} ${'x'.repeat(1_000)}`));
  await app.finish(writer, 'success', []);
}

const numbers = (client: LogClient): number[] => client.lines.map((line) => Number.parseInt(line, 10));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, line) => line);

it('buffers at most 1 MiB for a client that does not read, serves the others, and gives it every line once it reads', async () => {
  const { app, most, stop } = await measuredApp();
  const token = app.token(tenant);
  const buildId = await app.createLog(tenant);
  const slow = await LogClient.open(app.streamUrl(buildId), token);
  const quick = await LogClient.open(app.streamUrl(buildId), token);
  slow.socket.pause();
  await write(app, buildId, 25_000);
  await expect(quick.closed).resolves.toMatchObject({ code: 1000 });
  expect(slow.messages.length).toBeLessThan(25_000);
  expect(most()).toBeGreaterThan(mebibyte / 8);
  expect(most()).toBeLessThanOrEqual(mebibyte);
  slow.socket.resume();
  await expect(slow.closed).resolves.toEqual({ code: 1000, reason: 'success' });
  expect(most()).toBeLessThanOrEqual(mebibyte);
  expect(numbers(slow)).toEqual(upTo(25_000));
  expect(numbers(quick)).toEqual(upTo(25_000));
  await stop();
});

it('closes 1013 when a client takes no byte for too long, and lets it resume without a gap', async () => {
  const { app, stop } = await measuredApp({ stallMs: 1_500, pingMs: 500 });
  const token = app.token(tenant);
  const buildId = await app.createLog(tenant);
  await write(app, buildId, 20_000);
  const stuck = await LogClient.open(app.streamUrl(buildId), token);
  stuck.socket.pause();
  await sleep(3_000);
  stuck.socket.resume();
  await expect(stuck.closed).resolves.toMatchObject({ code: 1013 });
  const received = numbers(stuck);
  expect(received).toEqual(upTo(received.length));
  expect(received.length).toBeLessThan(20_000);
  const again = await LogClient.open(app.streamUrl(buildId, received.length), token);
  await expect(again.closed).resolves.toMatchObject({ code: 1000 });
  expect([...received, ...numbers(again)]).toEqual(upTo(20_000));
  await stop();
});

it('lets a client live that reads slowly, although its pongs are late', async () => {
  const { app, stop } = await measuredApp({ stallMs: 2_000, pingMs: 200 });
  const buildId = await app.createLog(tenant);
  await write(app, buildId, 20_000);
  const slow = await LogClient.open(app.streamUrl(buildId), app.token(tenant));
  while (slow.socket.readyState !== slow.socket.CLOSED) {
    slow.socket.pause();
    await sleep(500);
    slow.socket.resume();
    await sleep(5);
  }
  await expect(slow.closed).resolves.toMatchObject({ code: 1000 });
  expect(numbers(slow)).toEqual(upTo(20_000));
  await stop();
});
