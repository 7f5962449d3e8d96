import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { exchange } from '../../support/exchange';
import { contract, treeAt } from '../../support/openapi/document';
import { problemsBy } from '../../support/openapi/validator';

let api: Api;
let authorization: string;

beforeAll(async () => {
  api = await Api.start();
  const world = await World.make(api);
  authorization = `Authorization: Bearer ${world.caller.token ?? ''}`;
});

afterAll(async () => {
  await api.stop();
});

const lines = (...parts: readonly string[]): string => `${parts.join('\r\n')}\r\n\r\n`;
const host = 'Host: localhost';
const list = 'GET /api/v1/builds HTTP/1.1';
const create = 'POST /api/v1/builds HTTP/1.1';
const json = 'Content-Type: application/json';

describe('what is no HTTP, or none that can be served, is answered 4xx in the envelope, and the connection ends', () => {
  it.each<[string, () => string, number]>([
    ['garbage', () => lines('GARBAGE'), 400],
    ['bytes of TLS', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['a method in small letters', () => lines('get / HTTP/1.1', host), 400],
    ['an unknown method', () => lines('BREW /api/v1/builds HTTP/1.1', host), 400],
    ['an unknown version', () => lines('GET / HTTP/9.9', host), 400],
    ['HTTP/2 by prior knowledge', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a space in the path', () => lines('GET /api/v1/builds x HTTP/1.1', host), 400],
    ['no Host', () => lines(list, authorization, 'Connection: close'), 400],
    ['a header name with a space', () => lines(list, host, 'Bad Name: x'), 400],
    ['a header without a name', () => lines(list, host, ': x'), 400],
    ['a NUL in a header', () => lines(list, host, 'X: a\0b'), 400],
    ['a bare CR in a header', () => lines(list, host, 'X: a\rb'), 400],
    ['too large headers', () => lines(list, host, `X: ${'x'.repeat(20_000)}`), 431],
    ['a too long path', () => lines(`GET /${'x'.repeat(20_000)} HTTP/1.1`, host), 431],
    ['a length that is no number', () => lines(create, host, 'Content-Length: x'), 400],
    ['a negative length', () => lines(create, host, 'Content-Length: -1'), 400],
    ['two lengths', () => lines(create, host, 'Content-Length: 1', 'Content-Length: 2'), 400],
    ['a length and chunks', () => lines(create, host, 'Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
    ['an unknown transfer encoding', () => lines(create, host, 'Transfer-Encoding: x'), 400],
    [
      'a bad chunk size',
      () => `${lines(create, host, authorization, json, 'Transfer-Encoding: chunked')}zz\r\n{}\r\n`,
      400,
    ],
    ['an unknown expectation', () => lines(list, host, authorization, 'Expect: wonders'), 417],
    ['a tunnel', () => lines('CONNECT example.com:443 HTTP/1.1', 'Host: example.com:443'), 405],
    ['TRACE', () => lines('TRACE /api/v1/builds HTTP/1.1', host, 'Connection: close'), 405],
    ['an asterisk', () => lines('GET * HTTP/1.1', host, 'Connection: close'), 404],
    ['a path without a slash', () => lines('GET api/v1/builds HTTP/1.1', host, 'Connection: close'), 400],
  ])('%s', async (_, request, status) => {
    const answer = await exchange(api.port, Buffer.from(request(), 'latin1'));
    if (answer === null) throw new Error('There was no answer');
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining('"error"') as string]);
    expect(problemsBy(treeAt(contract, 'components', 'schemas', 'Error'), answer.body)).toEqual([]);
    expect(answer.headers.get('Connection')).toBe('close');
  });

  it('a body that is cut off', async () => {
    const cut = `${lines(create, host, authorization, json, 'Content-Length: 100')}{"a":`;
    expect((await exchange(api.port, cut, true))?.status).toBe(400);
  });

  it('an HTTP/1.0 request without Host is served', async () => {
    const answer = await exchange(api.port, lines('GET /api/v1/builds HTTP/1.0', authorization));
    expect(answer?.status).toBe(200);
  });

  it.each([
    ['0\r\n\r\n', 404],
    ['1\r\nx\r\n0\r\n\r\n', 415],
  ])('a body of unknown length without a type is no body when nothing comes: %j', async (chunks, status) => {
    const start = 'POST /api/v1/builds/00000000-0000-4000-8000-000000000000/start HTTP/1.1';
    const head = lines(start, host, authorization, 'Transfer-Encoding: chunked', 'Connection: close');
    expect((await exchange(api.port, head + chunks))?.status).toBe(status);
  });

  it('the absolute form of a path is served', async () => {
    const answer = await exchange(
      api.port,
      lines('GET http://localhost/api/v1/builds HTTP/1.1', host, authorization, 'Connection: close'),
    );
    expect(answer?.status).toBe(200);
  });

  it('what follows a request that is still being answered does not come into that answer', async () => {
    const file = '/api/docs/swagger-ui-bundle.js';
    const whole = Buffer.from(await (await fetch(`${api.url}${file}`)).arrayBuffer());
    const socket = net.connect(api.port, '127.0.0.1');
    socket.pause();
    socket.write(lines(`GET ${file} HTTP/1.1`, host));
    // The answer is under way, and more of it than fits into buffers waits for the client.
    await once(socket, 'readable');
    socket.write(lines('GARBAGE'));
    await sleep(300);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const all = Buffer.concat(chunks);
    const body = all.subarray(all.indexOf('\r\n\r\n') + 4);
    expect(body.subarray(0, whole.length).equals(whole)).toBe(true);
    expect(body.subarray(whole.length).toString()).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('a client that hangs up in the middle disturbs nobody', async () => {
    for (const part of ['G', 'GET / HTT', `${lines(create, host, authorization, json, 'Content-Length: 10')}{`, '']) {
      await exchange(api.port, part, true);
    }
    const answer = await exchange(api.port, lines(list, host, authorization, 'Connection: close'));
    expect(answer?.status).toBe(200);
  });
});
