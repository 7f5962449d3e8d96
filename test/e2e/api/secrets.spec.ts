import { randomBytes, randomUUID } from 'node:crypto';
import type { SecretListDto } from '../../../src/secrets/secret.dto';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Answer, Caller } from '../../support/caller';

const secret = 'correct-horse-battery-staple';
const key = randomBytes(32).toString('base64');

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start({ SECRETS_KEY: key });
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

const put = (name: string, body: object, { caller, project } = world): Promise<Answer> =>
  caller.send('PUT', `/projects/${project.id}/secrets/${name}`, body);

const listed = async ({ caller, project } = world): Promise<SecretListDto['secrets']> =>
  (await caller.get<SecretListDto>(`/projects/${project.id}/secrets`)).expect(200).secrets;

/** A project that has no secrets yet, of another tenant. */
const fresh = (): Promise<World> => World.make(api);

describe('a secret', () => {
  it('is stored and listed by name, and never shown', async () => {
    const own = await fresh();
    const answers = [
      await put('b.token-2', { value: secret }, own),
      await put('A_TOKEN', { kind: 'build', value: secret }, own),
      await put('git', { kind: 'git', value: secret, username: 'ci' }, own),
      await put('push', { kind: 'registry', value: secret, username: 'ci', registry: 'reg.example.com/team' }, own),
    ];
    expect(answers.map(({ status, text }) => [status, text])).toEqual(answers.map(() => [204, '']));
    const answer = await own.caller.get<SecretListDto>(`/projects/${own.project.id}/secrets`);
    expect(answer.text).not.toContain(secret);
    const time = expect.stringMatching(/^\d{4}-.*Z$/) as unknown;
    const times = { created_at: time, updated_at: time };
    expect(answer.expect(200)).toEqual({
      secrets: [
        { name: 'A_TOKEN', kind: 'build', scope: null, username: null, ...times },
        { name: 'b.token-2', kind: 'build', scope: null, username: null, ...times },
        { name: 'git', kind: 'git', scope: 'https://git.example.com', username: 'ci', ...times },
        { name: 'push', kind: 'registry', scope: 'reg.example.com/team', username: 'ci', ...times },
      ],
    });
  });

  it('is replaced under its name, and keeps when it was made', async () => {
    const own = await fresh();
    (await put('TOKEN', { value: secret }, own)).expect(204);
    const [before] = await listed(own);
    (await put('TOKEN', { kind: 'registry', value: secret, username: 'x', registry: 'localhost:5000' }, own)).expect(
      204,
    );
    const [after, ...more] = await listed(own);
    expect(more).toEqual([]);
    expect(after).toMatchObject({ kind: 'registry', scope: 'localhost:5000', created_at: before?.created_at });
    expect(new Date(after?.updated_at ?? 0).getTime()).toBeGreaterThan(new Date(before?.updated_at ?? 0).getTime());
  });

  it('is deleted', async () => {
    const own = await fresh();
    (await put('TOKEN', { value: secret }, own)).expect(204);
    const place = `/projects/${own.project.id}/secrets/TOKEN`;
    (await own.caller.delete(place)).expect(204);
    expect(await listed(own)).toEqual([]);
    expect((await own.caller.delete(place)).status).toBe(404);
  });

  it('is gone with its project', async () => {
    const own = await fresh();
    (await put('TOKEN', { value: secret }, own)).expect(204);
    (await own.caller.delete(`/projects/${own.project.id}`)).expect(204);
    expect(await api.sql('SELECT 1 FROM project_secrets WHERE project_id = $1', [own.project.id])).toEqual([]);
    expect((await put('TOKEN', { value: secret }, own)).status).toBe(404);
  });

  it('lies in the database encrypted alone, each time differently', async () => {
    const own = await fresh();
    for (let time = 0; time < 3; time += 1) (await put('SAME', { value: secret }, own)).expect(204);
    (await put('OTHER', { value: secret }, own)).expect(204);
    const rows = await api.sql<{ row: string; nonce: string; ciphertext: string }>(
      `SELECT to_jsonb(s)::text AS row, nonce::text, ciphertext::text FROM project_secrets s WHERE project_id = $1`,
      [own.project.id],
    );
    const bytes = Buffer.from(secret);
    for (const { row } of rows) {
      for (const form of [secret, bytes.toString('hex'), bytes.toString('base64')]) expect(row).not.toContain(form);
    }
    expect(new Set(rows.map(({ nonce }) => nonce)).size).toBe(2);
    expect(new Set(rows.map(({ ciphertext }) => ciphertext)).size).toBe(2);
  });
});

describe('what is refused', () => {
  const git = { kind: 'git', value: secret, username: 'ci' };
  const registry = { kind: 'registry', value: secret, username: 'ci', registry: 'reg.example.com' };

  it.each<[string, string, object, string]>([
    ['no value', 'TOKEN', {}, 'value'],
    ['an empty value', 'TOKEN', { value: '' }, 'value'],
    ['a value that is no text', 'TOKEN', { value: 5 }, 'value'],
    ['a value of more than 64 KiB', 'TOKEN', { value: 'ä'.repeat(32 * 1024 + 1) }, 'value'],
    ['a value of more than 1024 lines', 'TOKEN', { value: 'a line\n'.repeat(1025) }, 'value'],
    ['an unknown kind', 'TOKEN', { value: secret, kind: 'ssh' }, 'kind'],
    ['a user name for a build', 'TOKEN', { value: secret, username: 'x' }, 'username'],
    ['a registry for a build', 'TOKEN', { value: secret, registry: 'reg.example.com' }, 'registry'],
    ['git without a user name', 'git', { ...git, username: undefined }, 'username'],
    ['a user name with a colon', 'git', { ...git, username: 'a:b' }, 'username'],
    ['a password with a line end', 'git', { ...git, value: `${secret}\n` }, 'value'],
    ['a registry secret without a registry', 'push', { ...registry, registry: undefined }, 'registry'],
    ['a registry with a scheme', 'push', { ...registry, registry: 'https://reg.example.com' }, 'registry'],
    ['a registry with a tag', 'push', { ...registry, registry: 'reg.example.com/team:1' }, 'registry'],
    ['no registry but a name of the hub', 'push', { ...registry, registry: 'team' }, 'registry'],
    ['a name with a digit in front', '1x', { value: secret }, 'name'],
    ['a name with a comma', 'a,src=x', { value: secret }, 'name'],
    ['a name of 65 characters', 'a'.repeat(65), { value: secret }, 'name'],
    ['a name with a slash', 'a%2Fb', { value: secret }, 'name'],
  ])('%s', async (_, name, body, field) => {
    const answer = await put(name, body);
    expect([answer.status, Object.keys(answer.error.details ?? {})]).toEqual([400, [field]]);
    expect(answer.text).not.toContain(secret);
  });

  it('a credential of git for a repository that is not reached over HTTP', async () => {
    const project = await world.otherProject({ repository_url: 'git@git.example.com:team/app.git' });
    const answer = await world.caller.send('PUT', `/projects/${project.id}/secrets/git`, git);
    expect([answer.status, Object.keys(answer.error.details ?? {})]).toEqual([400, ['kind']]);
  });

  it('a second credential for the same server', async () => {
    const own = await fresh();
    (await put('first', registry, own)).expect(204);
    (await put('part', { ...registry, registry: 'reg.example.com/team' }, own)).expect(204);
    expect((await put('second', registry, own)).status).toBe(409);
    (await put('git', git, own)).expect(204);
    expect((await put('git2', git, own)).status).toBe(409);
  });

  it('more than a hundred, also of many at once', async () => {
    const own = await fresh();
    await api.sql(
      `INSERT INTO project_secrets (project_id, tenant_id, name, kind, bytes, key_id, nonce, ciphertext)
       SELECT $1, $2, 'old' || n, 'build', 1, 'x', '\\x000000000000000000000000', '' FROM generate_series(1, 97) n`,
      [own.project.id, own.tenantId],
    );
    const names = Array.from({ length: 6 }, (_, index) => `NEW${index}`);
    const answers = await Promise.all(names.map((name) => put(name, { value: secret }, own)));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 204, 204, 409, 409, 409]);
    (await put('old1', { value: secret }, own)).expect(204);
  });

  it('more than 256 KiB together', async () => {
    const own = await fresh();
    const value = 'x'.repeat(64 * 1024);
    for (const name of ['A', 'B', 'C', 'D']) (await put(name, { value }, own)).expect(204);
    expect((await put('E', { value: 'x' }, own)).status).toBe(409);
    (await put('D', { value }, own)).expect(204);
  });
});

describe("another tenant's secrets", () => {
  it.each<[string, (caller: Caller, projectId: string) => Promise<Answer>]>([
    ['listSecrets', (caller, id) => caller.get(`/projects/${id}/secrets`)],
    ['putSecret', (caller, id) => caller.send('PUT', `/projects/${id}/secrets/TOKEN`, { value: 'mine now' })],
    ['deleteSecret', (caller, id) => caller.delete(`/projects/${id}/secrets/TOKEN`)],
  ])('are like absent ones for %s, and stay as they are', async (_, request) => {
    const other = await fresh();
    (await put('TOKEN', { value: secret }, other)).expect(204);
    const rows = (): Promise<object[]> =>
      api.sql('SELECT * FROM project_secrets WHERE project_id = $1', [other.project.id]);
    const before = await rows();
    const bare = ({ status, error: { error, code, details } }: Answer): unknown => ({ status, error, code, details });
    const answer = await request(world.caller, other.project.id);
    expect(answer.status).toBe(404);
    expect(bare(answer)).toEqual(bare(await request(world.caller, randomUUID())));
    expect(await rows()).toEqual(before);
  });
});

describe('a service without SECRETS_KEY on a database of the operator', () => {
  it('says that it keeps no secrets, and still lists and deletes', async () => {
    const keyless = await Api.start();
    try {
      const own = await World.make(keyless);
      const answer = await put('TOKEN', { value: secret }, own);
      expect([answer.status, answer.error.error]).toEqual([
        501,
        'This service keeps no secrets: its operator has not set SECRETS_KEY',
      ]);
      expect(await listed(own)).toEqual([]);
      expect((await own.caller.delete(`/projects/${own.project.id}/secrets/TOKEN`)).status).toBe(404);
    } finally {
      await keyless.stop();
    }
  });
});
