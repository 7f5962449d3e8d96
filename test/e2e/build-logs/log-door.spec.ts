import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import WebSocket from 'ws';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { LogApp } from './log-app';
import { LogClient } from './log-client';
import { type RawAnswer, rawRequest } from './raw-http';

const tenant = randomUUID();
let postgres: TestPostgres;
let app: LogApp;
let buildId: string;
let token: string;

beforeAll(async () => {
  postgres = await startTestPostgres();
  app = await LogApp.start({
    databaseUrl: postgres.url,
    env: { MAX_STREAMS_PER_TENANT: '3', ALLOWED_ORIGINS: 'https://console.example.com' },
  });
  buildId = await app.createLog(tenant);
  token = app.token(tenant, { seconds: 600 });
});

afterAll(async () => {
  await app.stop();
  await postgres.stop();
});

const path = (id = buildId, query = ''): string => `/api/v1/builds/${id}/logs/stream${query}`;

/** The headers of a good handshake; `undefined` takes one away. */
function handshake(changes: Record<string, string | undefined> = {}): Record<string, string> {
  const headers: Record<string, string | undefined> = {
    Host: `127.0.0.1:${app.port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': Buffer.alloc(16, 7).toString('base64'),
    Authorization: `Bearer ${token}`,
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function refused(target: string, headers: Record<string, string>, method = 'GET'): Promise<RawAnswer> {
  const answer = await rawRequest(app.port, method, target, headers);
  expect(answer.headers.connection).toMatch(/^close/);
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(answer.headers['x-request-id']).toBeDefined();
  expect(Number(answer.headers['content-length'])).toBe(Buffer.byteLength(answer.text));
  expect(answer.json()).toEqual({
    error: expect.any(String) as string,
    code: expect.any(String) as string,
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
    trace_id: expect.any(String) as string,
    details: answer.status === 400 ? (expect.any(Object) as object) : null,
  });
  return answer;
}

describe('who is let in', () => {
  it('takes a token in the Authorization header', async () => {
    const answer = await rawRequest(app.port, 'GET', path(), handshake());
    expect(answer.status).toBe(101);
    expect(answer.headers['sec-websocket-protocol']).toBeUndefined();
  });

  it('takes a token beside the subprotocol, and selects the subprotocol alone', async () => {
    const socket = new WebSocket(app.streamUrl(buildId), ['imagefactory.logs.v1', `bearer.${token}`]);
    await once(socket, 'open');
    expect(socket.protocol).toBe('imagefactory.logs.v1');
    socket.close();
    await once(socket, 'close');
  });

  it.each([
    ['its own', () => `http://127.0.0.1:${app.port}`],
    ['an allowed one', () => 'https://console.example.com'],
  ])('takes the origin when it is %s', async (_, origin) => {
    expect((await rawRequest(app.port, 'GET', path(), handshake({ Origin: origin() }))).status).toBe(101);
  });

  it('takes an id in capitals and an offset', async () => {
    const target = path(buildId.toUpperCase(), '?offset=0');
    expect((await rawRequest(app.port, 'GET', target, handshake())).status).toBe(101);
  });
});

describe('who is refused, as HTTP and in the envelope', () => {
  const bad = { Authorization: 'Bearer x.y.z' };

  it.each<[string, Record<string, string | undefined>, string]>([
    ['no token', { Authorization: undefined }, ''],
    ['a bad token', bad, ''],
    ['a token in the query', { Authorization: undefined }, '?access_token=TOKEN&token=TOKEN'],
    ['a bearer without the subprotocol', { Authorization: undefined, 'Sec-WebSocket-Protocol': 'bearer.TOKEN' }, ''],
    [
      'a bad bearer beside the subprotocol',
      { Authorization: undefined, 'Sec-WebSocket-Protocol': 'imagefactory.logs.v1, bearer.x.y.z' },
      '',
    ],
  ])('401 for %s', async (_, changes, query) => {
    const fill = (text: string): string => text.replaceAll('TOKEN', token);
    const headers = Object.entries(handshake(changes)).map(([name, value]) => [name, fill(value)]);
    const answer = await refused(path(buildId, fill(query)), Object.fromEntries(headers) as Record<string, string>);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.json()).toMatchObject({ code: 'UNAUTHORIZED' });
  });

  it.each([
    'https://evil.example.com',
    'null',
    'http://127.0.0.1',
    'not a URL',
    'https://console.example.com.evil.com',
  ])('403 for the origin %s', async (origin) => {
    const answer = await refused(path(), handshake({ Origin: origin }));
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'FORBIDDEN' });
  });

  it('403 without build:read', async () => {
    const other = app.token(tenant, { permissions: ['build:list'] });
    const answer = await refused(path(), handshake({ Authorization: `Bearer ${other}` }));
    expect(answer.status).toBe(403);
  });

  it.each<[string, () => [string, Record<string, string | undefined>]]>([
    ['id', () => [path('not-a-uuid'), {}]],
    ['id', () => [path('%ff%00'), {}]],
    ['offset', () => [path(buildId, '?offset=-1'), {}]],
    ['offset', () => [path(buildId, '?offset=1e3'), {}]],
    ['offset', () => [path(buildId, '?offset='), {}]],
    ['offset', () => [path(buildId, '?offset=9007199254740992'), {}]],
    ['offset', () => [path(buildId, '?offset=1&offset=2'), {}]],
    ['Sec-WebSocket-Key', () => [path(), { 'Sec-WebSocket-Key': 'short' }]],
    ['Sec-WebSocket-Key', () => [path(), { 'Sec-WebSocket-Key': undefined }]],
    ['Sec-WebSocket-Protocol', () => [path(), { 'Sec-WebSocket-Protocol': 'a,,b' }]],
    ['Sec-WebSocket-Protocol', () => [path(), { 'Sec-WebSocket-Protocol': 'a, a' }]],
  ])('400 for a bad %s', async (field, request) => {
    const [target, changes] = request();
    const answer = await refused(target, handshake(changes));
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({
      code: 'INVALID_REQUEST',
      details: { [field]: expect.any(String) as string },
    });
  });

  it.each<[string, () => Promise<string>]>([
    ['an absent', () => Promise.resolve(randomUUID())],
    ['a foreign', () => app.createLog(randomUUID())],
    [
      'a deleted',
      async () => {
        const id = await app.createLog(tenant);
        await app.repository.markDeleted(app.source.manager, [id]);
        return id;
      },
    ],
  ])('404 for %s build, the same text for all', async (_, make) => {
    const answer = await refused(path(await make()), handshake());
    expect(answer.status).toBe(404);
    expect(answer.json()).toMatchObject({ error: 'Build not found', code: 'NOT_FOUND' });
  });

  it.each(['/api/v1/builds', '/', '//evil/logs/stream', 'http://[/', '*', '/%', '/api/v1/builds/x/logs/stream/more'])(
    '404 for the path %s',
    async (target) => {
      expect((await refused(target, handshake())).status).toBe(404);
    },
  );

  it.each(['12', '8', '14', 'x', undefined])('426 for version %s', async (version) => {
    const answer = await refused(path(), handshake({ 'Sec-WebSocket-Version': version }));
    expect(answer.status).toBe(426);
    expect(answer.headers['sec-websocket-version']).toBe('13');
    expect(answer.json()).toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it('405 for another method', async () => {
    const answer = await refused(path(), handshake({ 'Content-Length': '2' }), 'POST');
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('GET');
  });

  it('answers in the order 401, origin 403, permission 403, 400, 404', async () => {
    const noPermission = `Bearer ${app.token(tenant, { permissions: [] })}`;
    const wrong = {
      Authorization: 'Bearer x.y.z',
      Origin: 'https://evil.example.com',
      'Sec-WebSocket-Version': '12',
    };
    const absent = path(randomUUID(), '?offset=x');
    const statuses: number[] = [];
    const fixes: Record<string, string | undefined>[] = [
      {},
      { Authorization: noPermission },
      { Origin: undefined },
      { Authorization: `Bearer ${token}` },
      { 'Sec-WebSocket-Version': '13' },
    ];
    for (const fix of fixes) {
      Object.assign(wrong, fix);
      statuses.push((await refused(absent, handshake(wrong))).status);
    }
    statuses.push((await refused(path(randomUUID()), handshake())).status);
    expect(statuses).toEqual([401, 403, 403, 426, 400, 404]);
  });

  it('429 for one stream too many of a tenant, until one is closed', async () => {
    const crowded = randomUUID();
    const id = await app.createLog(crowded);
    const theirs = app.token(crowded);
    const open = await Promise.all([1, 2, 3].map(() => LogClient.open(app.streamUrl(id), theirs)));
    const answer = await refused(path(id), handshake({ Authorization: `Bearer ${theirs}` }));
    expect(answer.status).toBe(429);
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    expect(answer.json()).toMatchObject({ code: 'INVALID_REQUEST' });
    const free = await LogClient.open(app.streamUrl(buildId), token);
    open[0]?.socket.close();
    await open[0]?.closed;
    const next = await LogClient.open(app.streamUrl(id), theirs);
    for (const client of [...open, free, next]) client.socket.terminate();
    await Promise.all([...open, free, next].map((client) => client.closed));
  });

  it('echoes the request id, and takes the trace id from traceparent', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const answer = await refused(
      path('x'),
      handshake({ 'X-Request-Id': 'mine-1', traceparent: `00-${trace}-b7ad6b7169203331-01` }),
    );
    expect(answer.headers['x-request-id']).toBe('mine-1');
    expect(answer.json()).toMatchObject({ trace_id: trace });
  });
});

describe('what a socket may do meanwhile', () => {
  it('keeps frames that the client sends before it is let in', async () => {
    const answer = await rawRequest(app.port, 'GET', path(), handshake(), maskedPing('early'));
    expect(answer.status).toBe(101);
    const [pong] = answer.frames.filter((frame) => frame.opcode === 10);
    expect(pong?.payload).toBe('early');
  });

  it('gives the place back when a client hangs up at the door', async () => {
    const hasty = randomUUID();
    const id = await app.createLog(hasty);
    const theirs = app.token(hasty);
    for (let round = 0; round < 20; round += 1) {
      const socket = net.connect(app.port, '127.0.0.1');
      await once(socket, 'connect');
      const headers = Object.entries(handshake({ Authorization: `Bearer ${theirs}` }));
      socket.write(
        `GET ${path(id)} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}`).join('\r\n')}\r\n\r\n`,
      );
      await sleep(Math.random() * 4);
      socket.resetAndDestroy();
    }
    await sleep(100);
    const clients = await Promise.all([1, 2, 3].map(() => LogClient.open(app.streamUrl(id), theirs)));
    for (const client of clients) client.socket.terminate();
    await Promise.all(clients.map((client) => client.closed));
  });
});

describe('requests that offer another upgrade', () => {
  const offer = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };

  it('answers a GET as if nothing had been offered', async () => {
    const answer = await rawRequest(app.port, 'GET', `/api/v1/builds/${buildId}/logs`, handshake(offer));
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ build_id: buildId });
  });

  it('answers the stream itself with 400', async () => {
    const answer = await rawRequest(app.port, 'GET', path(), handshake(offer));
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it('reads a body that comes along, answers and closes the connection', async () => {
    const body = JSON.stringify({ a: 'x'.repeat(5000) });
    const headers = handshake({ ...offer, 'Content-Length': String(body.length), 'Content-Type': 'application/json' });
    const next = `GET /api/v1/builds/x/logs HTTP/1.1\r\nHost: x\r\n\r\n`;
    const answer = await rawRequest(app.port, 'POST', '/api/v1/nothing', headers, Buffer.from(body + next));
    expect(answer.status).toBe(404);
    expect(answer.headers.connection).toBe('close');
    expect(answer.rest).toBe('');
  });

  it.each([
    ['another upgrade', offer, 400],
    ['a WebSocket', {}, 101],
  ])('answers %s after what was asked before it on the same connection', async (_, wish, status) => {
    const lines = Object.entries(handshake(wish)).map(([name, value]) => `${name}: ${value}`);
    const second = [`GET ${path()} HTTP/1.1`, ...lines, '', ''].join('\r\n');
    const first = handshake({ Connection: undefined, Upgrade: undefined });
    const answer = await rawRequest(app.port, 'GET', `/api/v1/builds/${buildId}/logs`, first, Buffer.from(second));
    expect(answer.status).toBe(200);
    expect(answer.rest).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it('answers a plain GET of the stream with 400, after 401 and 403', async () => {
    const plain = { Connection: 'close', Upgrade: undefined };
    const none = { ...plain, Authorization: undefined };
    const weak = { ...plain, Authorization: `Bearer ${app.token(tenant, { permissions: [] })}` };
    const statuses = [];
    for (const changes of [none, weak, plain]) {
      statuses.push((await rawRequest(app.port, 'GET', path(), handshake(changes))).status);
    }
    expect(statuses).toEqual([401, 403, 400]);
  });
});

it('503 with Retry-After while the database does not answer', async () => {
  const admin = new Client({ connectionString: postgres.adminUrl });
  await admin.connect();
  await admin.query('BEGIN; LOCK TABLE build_logs IN ACCESS EXCLUSIVE MODE');
  const startedAt = performance.now();
  const answer = await refused(path(), handshake());
  await admin.end();
  expect(answer.status).toBe(503);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect(answer.headers['retry-after']).toMatch(/^\d+$/);
  expect(answer.json()).toMatchObject({ code: 'INTERNAL_SERVER_ERROR' });
});

/** A masked ping frame, as a client sends it (RFC 6455, section 5.5.2). */
function maskedPing(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x89, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
