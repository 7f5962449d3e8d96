import { randomUUID } from 'node:crypto';
import { Api } from '../../support/api';
import { exchange } from '../../support/exchange';

const origin = 'https://console.example.com';

let open: Api;
let closed: Api;

beforeAll(async () => {
  [open, closed] = await Promise.all([Api.start({ ALLOWED_ORIGINS: origin }), Api.start()]);
});

afterAll(async () => {
  await Promise.all([open.stop(), closed.stop()]);
});

const authorization = (api: Api): string => `Bearer ${api.token()}`;

function preflight(api: Api, from: string): Promise<Response> {
  return fetch(`${api.url}/api/v1/builds`, {
    method: 'OPTIONS',
    headers: {
      origin: from,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    },
  });
}

describe('headers of every answer', () => {
  it.each([
    ['an answer', '/api/v1/builds', 200],
    ['a refusal', `/api/v1/builds/${randomUUID()}`, 404],
    ['a path that is not there', '/nothing', 404],
    ['health', '/health/live', 200],
    ['the document', '/api/openapi.json', 200],
  ])('let no browser run, frame or sniff %s, and name no product', async (_, path, status) => {
    const answer = await fetch(`${closed.url}${path}`, { headers: { authorization: authorization(closed) } });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
    );
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin');
    for (const name of ['server', 'x-powered-by', 'access-control-allow-origin']) {
      expect(answer.headers.get(name)).toBeNull();
    }
  });

  it.each([
    [
      'a refused WebSocket',
      'GET /api/v1/builds/x/logs/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket',
      401,
    ],
    ['what is no HTTP', 'GARBAGE', 400],
    ['too large headers', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}`, 431],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com', 405],
    ['an unknown expectation', 'GET /api/v1/builds HTTP/1.1\r\nHost: x\r\nExpect: wonders', 417],
    ['no Host', 'GET /api/v1/builds HTTP/1.1\r\nConnection: close', 400],
    ['another method', 'PUT /api/v1/builds HTTP/1.1\r\nHost: x\r\nConnection: close', 405],
  ])('are the same for %s, which no route sees', async (_, request, status) => {
    const usual = await fetch(`${closed.url}/api/v1/builds`, { headers: { authorization: authorization(closed) } });
    const answer = await exchange(closed.port, `${request}\r\n\r\n`);
    expect(answer?.status).toBe(status);
    const wanted = [...usual.headers].filter(([name]) =>
      /^(?:content-security|cross-|origin-|referrer|x-[cdfpx])/.test(name),
    );
    expect(wanted.length).toBeGreaterThanOrEqual(10);
    expect(Object.fromEntries(answer?.headers ?? [])).toMatchObject(Object.fromEntries(wanted));
    for (const name of ['server', 'x-powered-by']) expect(answer?.headers.get(name)).toBeNull();
  });

  it('let Swagger UI load its own files alone', async () => {
    const answer = await fetch(`${closed.url}/api/docs`);
    expect(answer.status).toBe(200);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
  });
});

describe('a page of another origin', () => {
  it('may use the API when the operator allows its origin', async () => {
    const asked = await preflight(open, origin);
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
    expect(asked.headers.get('access-control-allow-headers')).toContain('Authorization');
    expect(asked.headers.get('access-control-allow-methods')).toContain('POST');
    for (const path of ['/api/v1/builds', `/api/v1/builds/${randomUUID()}`]) {
      const answer = await fetch(`${open.url}${path}`, { headers: { origin, authorization: authorization(open) } });
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('vary')).toContain('Origin');
    }
  });

  it.each(['https://evil.example.com', 'null', `${origin}.evil.example.com`])('%s may not', async (stranger) => {
    const asked = await preflight(open, stranger);
    expect(asked.headers.get('access-control-allow-origin')).toBeNull();
    const answer = await fetch(`${open.url}/api/v1/builds`, {
      headers: { origin: stranger, authorization: authorization(open) },
    });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('may not when no origin is allowed', async () => {
    const asked = await preflight(closed, origin);
    expect(asked.status).toBe(405);
    expect(asked.headers.get('access-control-allow-origin')).toBeNull();
  });
});
