import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { promisify } from 'node:util';
import { LogApp } from '../e2e/build-logs/log-app';
import { exchange } from '../support/exchange';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { closing, frame, opcodes, RawSocket } from '../support/raw-socket';
import { waitUntil } from '../support/wait-until';

const { continuation, text, binary, close, ping, pong } = opcodes;
const tenant = randomUUID();
let postgres: TestPostgres;
let app: LogApp;
let buildId: string;
let token: string;

beforeAll(async () => {
  postgres = await startTestPostgres();
  app = await LogApp.start({ databaseUrl: postgres.url, stream: { pingMs: 2_000 } });
  buildId = await app.createLog(tenant);
  token = app.token(tenant, { seconds: 600 });
});

afterAll(async () => {
  await app.stop();
  await postgres.stop();
});

/** Whatever a client did, nothing of it may stay. */
afterEach(async () => {
  await waitUntil(async () => (await connections()) === 0);
  expect((await app.get(`/builds/${buildId}/logs`, token)).status).toBe(200);
});

function connections(): Promise<number> {
  const server: Server = app.app.getHttpServer() as Server;
  server.closeIdleConnections();
  return promisify(server.getConnections.bind(server))();
}

const path = (): string => `/api/v1/builds/${buildId}/logs/stream`;

function open(headers: Readonly<Record<string, string>> = {}): Promise<RawSocket> {
  return RawSocket.open(app.port, path(), { Authorization: `Bearer ${token}`, ...headers });
}

/** The code with which the server closes after these bytes, and that it ends the connection. */
async function closedAfter(...parts: readonly Buffer[]): Promise<number | null> {
  const client = await open();
  client.send(...parts);
  await client.ended;
  client.hangUp();
  return client.closeCode;
}

describe('a client that breaks the framing is closed', () => {
  const badText = Buffer.from([0xc3, 0x28]);

  it.each<[string, number, () => Buffer[]]>([
    ['a frame without a mask', 1002, () => [frame(text, 'x', { masked: false })]],
    ['a ping without a mask', 1002, () => [frame(ping, 'x', { masked: false })]],
    ['the bit of a compression that was not agreed', 1002, () => [frame(text, 'x', { reserved: 4 })]],
    ['the second reserved bit', 1002, () => [frame(text, 'x', { reserved: 2 })]],
    ['the third reserved bit', 1002, () => [frame(text, 'x', { reserved: 1 })]],
    ['a reserved bit of a control frame', 1002, () => [frame(ping, 'x', { reserved: 4 })]],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, number, () => Buffer[]] => [
      `the reserved opcode ${opcode}`,
      1002,
      () => [frame(opcode)],
    ]),
    ['a ping of 126 bytes', 1002, () => [frame(ping, 'x'.repeat(126))]],
    ['a ping in parts', 1002, () => [frame(ping, 'x', { fin: false })]],
    ['a close in parts', 1002, () => [frame(close, '', { fin: false })]],
    ['a continuation of nothing', 1002, () => [frame(continuation, 'x')]],
    ['a message within another', 1002, () => [frame(text, 'x', { fin: false }), frame(text, 'x')]],
    ['text that is not UTF-8', 1007, () => [frame(text, badText)]],
    [
      'text that is not UTF-8 over two parts',
      1007,
      () => [frame(text, badText.subarray(0, 1), { fin: false }), frame(continuation, badText.subarray(1))],
    ],
    ['a message over 4 KiB', 1009, () => [frame(binary, Buffer.alloc(4_097))]],
    ['a length of 2^53 and more', 1009, () => [Buffer.from([0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255])]],
    [
      'a message over 4 KiB in small parts',
      1009,
      () => [
        frame(binary, 'x', { fin: false }),
        ...Array<Buffer>(4_096).fill(frame(continuation, 'x', { fin: false })),
      ],
    ],
    [
      'endless parts of nothing',
      1008,
      () => [frame(text, '', { fin: false }), ...Array<Buffer>(20_000).fill(frame(continuation, '', { fin: false }))],
    ],
    ['a close of one byte', 1002, () => [frame(close, 'x')]],
    ...[0, 999, 1004, 1005, 1006, 1015, 2_999, 5_000, 65_535].map((code): [string, number, () => Buffer[]] => [
      `the close code ${code}`,
      1002,
      () => [closing(code)],
    ]),
    ['a reason that is not UTF-8', 1007, () => [closing(1000, badText)]],
  ])('for %s, with %d', async (_, code, parts) => {
    expect(await closedAfter(...parts())).toBe(code);
  });

  it('and is cut off when it does not hang up then', async () => {
    const client = await open();
    client.send(frame(3));
    await client.ended;
    expect(client.closeCode).toBe(1002);
    await waitUntil(async () => (await connections()) === 0);
    client.destroy();
  });
});

describe('a client that keeps to it', () => {
  it('may send what nobody reads, in parts, and pings between them', async () => {
    const client = await open();
    client.send(
      ...[frame(text, 'one', { fin: false }), frame(ping, 'within'), frame(continuation, ' two', { fin: false })],
      ...[frame(continuation, ' ü'), frame(binary, Buffer.alloc(4_096)), frame(pong, 'unasked'), frame(ping, 'after')],
    );
    await waitUntil(() => client.payloads(pong).length === 2);
    expect(client.payloads(pong)).toEqual(['within', 'after']);
    expect(client.closeCode).toBeNull();
    client.destroy();
  });

  it('gets its pong with up to 125 bytes, also when the frame comes byte by byte', async () => {
    const client = await open();
    const payload = 'p'.repeat(125);
    for (const byte of frame(ping, payload)) client.send(Buffer.from([byte]));
    await waitUntil(() => client.payloads(pong).includes(payload));
    client.destroy();
  });

  it.each([1000, 1001, 3000, 4999])('has its close with %d echoed, and the connection ended', async (code) => {
    expect(await closedAfter(closing(code, 'bye'))).toBe(code);
  });

  it('has a close without a code echoed', async () => {
    expect(await closedAfter(frame(close))).toBe(1005);
  });

  it('gets neither a compression nor a subprotocol that it offers and that is not spoken', async () => {
    const client = await open({
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-webkit-deflate-frame',
      'Sec-WebSocket-Protocol': 'chat, soap',
    });
    expect(client.head).toMatch(/^HTTP\/1\.1 101 /);
    expect(client.head).not.toMatch(/Sec-WebSocket-(?:Extensions|Protocol)/i);
    client.destroy();
  });
});

describe('what is left of a client', () => {
  it('that answers no ping is nothing, after the time for one', async () => {
    const client = await open();
    await client.ended;
    await waitUntil(async () => (await connections()) === 0);
    client.destroy();
    expect(client.payloads(ping).length).toBeGreaterThanOrEqual(1);
    expect(client.closeCode).toBeNull();
  });

  it('that asks by HTTP/1.0 is a refusal', async () => {
    const lines = [
      `GET ${path()} HTTP/1.0`,
      `Authorization: Bearer ${token}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString('base64')}`,
    ];
    const answer = await exchange(app.port, `${lines.join('\r\n')}\r\n\r\n`);
    expect(answer?.status).toBe(400);
  });

  it('of 1,000 that hang up in the middle of the handshake or after it is nothing', async () => {
    const head = `GET ${path()} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Up`;
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(Array.from({ length: 100 }, () => exchange(app.port, head, true)));
    }
    const clients = await Promise.all(Array.from({ length: 50 }, () => open()));
    for (const client of clients) client.destroy();
  });
});
