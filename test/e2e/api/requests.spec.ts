import { randomUUID } from 'node:crypto';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Caller } from '../../support/caller';

let api: Api;
let world: World;
let caller: Caller;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
  ({ caller } = world);
});

afterAll(async () => {
  await api.stop();
});

const good = (): Record<string, unknown> => ({ project_id: world.project.id, git_branch: 'main' });

async function detailsOf(body: unknown, path = '/builds'): Promise<Readonly<Record<string, string>> | null> {
  const answer = await caller.post(path, body);
  answer.expect(400);
  expect(answer.error.code).toBe('INVALID_REQUEST');
  return answer.error.details;
}

describe('the envelope of an error (8)', () => {
  it('has every field, and a details entry for each offending field', async () => {
    const answer = await caller.post('/builds', { git_branch: '', git_commit: 'xyz', build_args: { '1a': 'x' } });
    expect(answer.status).toBe(400);
    expect(answer.error).toEqual({
      error: 'Invalid request',
      code: 'INVALID_REQUEST',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      details: {
        project_id: 'must be a UUID',
        git_branch: expect.any(String) as string,
        git_commit: 'must be 7 to 40 hexadecimal digits',
        build_args: expect.stringContaining('1a') as string,
      },
    });
  });

  it('names a single offending field in its text as well', async () => {
    const answer = await caller.get('/builds?limit=101');
    expect(answer.error).toMatchObject({
      error: 'Invalid request: limit must be a whole number from 1 to 100',
      details: { limit: 'must be a whole number from 1 to 100' },
    });
  });

  it('names a nested field by its path', async () => {
    const admin = api.as({ permissions: ['tenant:create'] });
    const answer = await admin.post('/tenants', { name: 'Acme', admin: { email: 'x', password: 'short' } });
    expect(Object.keys(answer.error.details ?? {})).toEqual(['admin.email', 'admin.password', 'admin.name']);
  });

  it.each([
    ['POST', '/builds/x', 405],
    ['PUT', '/builds', 405],
    ['PATCH', '/builds/x/start', 405],
    ['GET', '/nothing', 404],
    ['GET', '/builds/x/y/z', 404],
    ['GET', '/nothing/%ff', 404],
    ['PUT', '/builds/%', 405],
  ])('is there as well where no route is: %s %s is %d', async (method, path, status) => {
    const answer = await caller.send(method, path);
    expect(answer.status).toBe(status);
    expect(answer.error.code).toBe(status === 404 ? 'NOT_FOUND' : 'INVALID_REQUEST');
    if (status === 405) expect(answer.headers.get('Allow')).toMatch(/^[A-Z, ]+$/);
  });

  it('is there outside the prefix of the API too', async () => {
    for (const path of ['/', '/api', '/api/v2/builds', '/health', '/health/other', '/favicon.ico']) {
      const response = await fetch(api.url + path);
      expect([path, response.status, ((await response.json()) as { code: string }).code]).toEqual([
        path,
        404,
        'NOT_FOUND',
      ]);
    }
  });

  it('is 415 for another content type and 413 for a body that is too large', async () => {
    const plain = await caller.post('/builds', '{}', { 'Content-Type': 'text/plain' });
    const large = await caller.post('/builds', { ...good(), note: 'x'.repeat(1_100_000) });
    expect([plain.status, plain.error.code]).toEqual([415, 'INVALID_REQUEST']);
    expect([large.status, large.error.code]).toEqual([413, 'INVALID_REQUEST']);
  });
});

describe('trace ids', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  it('come from traceparent before X-Request-Id, and the request id is echoed', async () => {
    const answer = await caller.get('/builds/x', { traceparent, 'X-Request-Id': 'mine' });
    expect(answer.error.trace_id).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(answer.headers.get('X-Request-Id')).toBe('mine');
  });

  it('come from X-Request-Id where there is no valid traceparent', async () => {
    for (const bad of ['', 'x', traceparent.replace('4bf9', 'ZZZZ'), `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
      const answer = await caller.get('/builds/x', { traceparent: bad, 'X-Request-Id': 'mine' });
      expect(answer.error.trace_id).toBe('mine');
    }
  });

  it('are made up, and echoed, where the client sends none that is safe', async () => {
    const none = await caller.get('/builds/x');
    const unsafe = await caller.get('/builds/x', { 'X-Request-Id': 'a b<script>' });
    for (const answer of [none, unsafe]) {
      expect(answer.error.trace_id).toMatch(/^[0-9a-f]{32}$/);
      expect(answer.headers.get('X-Request-Id')).toBe(answer.error.trace_id);
    }
    expect(none.error.trace_id).not.toBe(unsafe.error.trace_id);
  });

  it('are echoed on successes too', async () => {
    const answer = await caller.get('/builds', { 'X-Request-Id': 'mine' });
    expect([answer.status, answer.headers.get('X-Request-Id')]).toEqual([200, 'mine']);
  });
});

describe('the order of checks is 401, 403, 400, 404, 409 (7)', () => {
  const bad = '{"reason": ';

  it('a malformed body is not read before the token and the permission are checked', async () => {
    const path = `/builds/${randomUUID()}/cancel`;
    expect((await api.anonymous.post(path, bad)).status).toBe(401);
    expect((await world.with('build:read').post(path, bad)).status).toBe(403);
    expect((await world.with('build:cancel').post(path, bad)).status).toBe(400);
    expect((await world.with('build:cancel').post(path, '{}')).status).toBe(404);
  });

  it('a bad id and a bad query come after the permission as well', async () => {
    expect((await api.anonymous.get('/builds/x')).status).toBe(401);
    expect((await world.with('build:list').get('/builds/x')).status).toBe(403);
    expect((await api.anonymous.get('/builds/%ff')).status).toBe(401);
    expect((await world.with('build:list').get('/builds/%ff')).status).toBe(403);
    expect((await api.anonymous.get('/builds?page=x')).status).toBe(401);
    expect((await world.with('build:read').get('/builds?page=x')).status).toBe(403);
  });

  it('a bad body comes before the missing build, and that before its status', async () => {
    const done = await world.build({ status: 'success' });
    expect((await caller.post(`/builds/${randomUUID()}/cancel`, { reason: 5 })).status).toBe(400);
    expect((await caller.post(`/builds/${done.id}/cancel`, { reason: 5 })).status).toBe(400);
    expect((await caller.post(`/builds/${done.id}/cancel`, { reason: 'x' })).status).toBe(409);
  });

  it('a bad body comes before the project that is not there', async () => {
    expect((await caller.post('/builds', { project_id: randomUUID(), git_branch: '' })).status).toBe(400);
    expect((await caller.post('/builds', { project_id: randomUUID(), git_branch: 'main' })).status).toBe(403);
  });

  it('a body that is too large or no JSON is not even looked at without a token', async () => {
    expect((await api.anonymous.post('/builds', 'x'.repeat(2_000_000))).status).toBe(401);
    expect((await api.anonymous.post('/builds', 'x', { 'Content-Type': 'text/plain' })).status).toBe(401);
  });
});

describe('what a build can be created with', () => {
  it.each([
    '-x',
    'a b',
    'a..b',
    'a~1',
    'x.lock',
    '/a',
    'a/',
    'a@{1}',
    '.a',
    'a:b',
    'a\\b',
    'a\tb',
    '\u0000',
    'x'.repeat(256),
  ])('git_branch %j is refused (13)', async (branch) => {
    expect(Object.keys((await detailsOf({ ...good(), git_branch: branch })) ?? {})).toEqual(['git_branch']);
  });

  it.each(['main', 'feature/api', 'v1.2.3', 'ünïcode', 'x'.repeat(255)])('git_branch %j is taken', async (branch) => {
    const { body } = await caller.post<{ git_branch: string }>('/builds', { ...good(), git_branch: branch });
    expect(body.git_branch).toBe(branch);
  });

  it.each(['abc123', 'g'.repeat(7), 'a'.repeat(41), '', 1_234_567, ['abcdef1'], ' abcdef1', 'abcdef1\n'])(
    'git_commit %j is refused (13)',
    async (commit) => {
      expect(Object.keys((await detailsOf({ ...good(), git_commit: commit })) ?? {})).toEqual(['git_commit']);
    },
  );

  it.each([
    ['abc1234', 'abc1234'],
    ['ABC123DEF456', 'abc123def456'],
    ['0'.repeat(40), '0'.repeat(40)],
    [null, null],
  ])('git_commit %j is taken', async (commit, stored) => {
    const { body } = await caller.post<{ git_commit: string | null }>('/builds', { ...good(), git_commit: commit });
    expect(body.git_commit).toBe(stored);
  });

  it.each<[string, unknown]>([
    ['a list', ['A=1']],
    ['a text', 'A=1'],
    ['a name that begins with a digit', { '1A': 'x' }],
    ['a name with a dash', { 'A-B': 'x' }],
    ['a name of 256 characters', { ['A'.repeat(256)]: 'x' }],
    ['an empty name', { '': 'x' }],
    ['a number as value', { A: 1 }],
    ['null as value', { A: null }],
    ['an object as value', { A: { B: 'x' } }],
    ['65 entries', Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`A${index}`, 'x']))],
    ['a value of 4097 bytes', { A: `${'ü'.repeat(2048)}x` }],
    ['a NUL in a value', { A: 'a\0b' }],
    ['half a surrogate pair', { A: '\ud800' }],
    ['the name __proto__', JSON.parse('{"__proto__": "x"}')],
    ['the name constructor', { constructor: 'x' }],
  ])('build_args with %s are refused (16)', async (_, args) => {
    expect(Object.keys((await detailsOf({ ...good(), build_args: args })) ?? {})).toEqual(['build_args']);
  });

  it.each<[string, unknown]>([
    ['64 entries', Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`A${index}`, 'x']))],
    ['a value of 4096 bytes', { A: 'ü'.repeat(2048) }],
    ['an empty value and odd characters', { _a: '', B9: '$(id)\n"\\' }],
    ['nothing', {}],
    ['names that every object has', { hasOwnProperty: 'a', toString: 'b', valueOf: 'c' }],
  ])('build_args with %s are taken (16)', async (_, args) => {
    const answer = await caller.post<{ build_args: unknown }>('/builds', { ...good(), build_args: args });
    expect(JSON.stringify(sorted(answer.expect(201).build_args))).toBe(JSON.stringify(sorted(args)));
  });

  it('unknown fields are ignored (17)', async () => {
    const answer = await caller.post<Record<string, unknown>>(
      '/builds',
      {
        ...good(),
        status: 'success',
        tenant_id: randomUUID(),
        build_number: 999,
        id: randomUUID(),
        trigger: 'retry',
        commit_verified: true,
        error_message: 'x',
      },
      { 'X-Tenant-ID': randomUUID() },
    );
    expect(answer.expect(201)).toMatchObject({ status: 'queued', trigger: 'api', error_message: null });
    expect(answer.body.build_number).not.toBe(999);
    const [row] = await api.sql('SELECT tenant_id, commit_verified FROM builds WHERE id = $1', [answer.body.id]);
    expect(row).toEqual({ tenant_id: world.tenantId, commit_verified: false });
  });

  it('X-Tenant-ID does not open another tenant', async () => {
    const other = await World.make(api);
    const build = await other.build();
    expect((await caller.get(`/builds/${build.id}`, { 'X-Tenant-ID': other.tenantId })).status).toBe(404);
    expect(
      (await caller.post('/builds', { ...good(), project_id: other.project.id }, { 'X-Tenant-ID': other.tenantId }))
        .status,
    ).toBe(403);
  });
});

/** `jsonb` keeps names in an order of its own. */
function sorted(value: unknown): [string, unknown][] {
  return Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('answers', () => {
  it('are kept by no cache and have no entity tag', async () => {
    const { headers } = await caller.get('/builds');
    expect([headers.get('Cache-Control'), headers.get('ETag')]).toEqual(['no-store', null]);
    expect((await caller.get('/builds/x')).headers.get('Cache-Control')).toBe('no-store');
  });

  it('do not say what serves them', async () => {
    const { headers } = await caller.get('/builds');
    expect(headers.get('X-Powered-By')).toBeNull();
  });
});
