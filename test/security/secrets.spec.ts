import { randomBytes, randomUUID } from 'node:crypto';
import type { ProjectSecrets } from '../../src/secrets/secret';
import { SecretBox } from '../../src/secrets/secret-box';
import { SecretUnreadable, SecretVault } from '../../src/secrets/secret-vault';
import { SecretsRepository } from '../../src/secrets/secrets.repository';
import { GitCheckoutBench } from '../e2e/execution/git-checkout-bench';
import { World } from '../factories/world';
import { Api } from '../support/api';
import { GitHttpServer } from '../support/git-http-server';
import { GitRepository } from '../support/git-repository';

const secret = 'correct-horse-battery-staple';
const key = randomBytes(32);

let api: Api;

beforeAll(async () => {
  api = await Api.start({ SECRETS_KEY: key.toString('hex') });
});

afterAll(async () => {
  await api.stop();
});

const vaultWith = (...keys: Buffer[]): SecretVault =>
  new SecretVault(new SecretBox(keys), api.app.get(SecretsRepository, { strict: false }));

const open = ({ tenantId, project }: World, vault = vaultWith(key)): Promise<ProjectSecrets> =>
  vault.open({ tenantId, projectId: project.id });

const put = async ({ caller, project }: World, name: string, body: object): Promise<void> => {
  (await caller.send('PUT', `/projects/${project.id}/secrets/${name}`, body)).expect(204);
};

/** A project with one secret of each kind. */
async function stored(): Promise<World> {
  const world = await World.make(api);
  await put(world, 'TOKEN', { value: secret });
  await put(world, 'git', { kind: 'git', username: 'ci', value: secret });
  await put(world, 'push', { kind: 'registry', username: 'ci', registry: 'reg.example.com', value: secret });
  return world;
}

describe('what is stored', () => {
  it('is nowhere in the database as it is, nor in hex or base64', async () => {
    await stored();
    const tables = await api.sql<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    expect(tables.map(({ name }) => name)).toContain('project_secrets');
    const bytes = Buffer.from(secret);
    const forms = [secret, bytes.toString('hex'), ...[0, 1, 2].map((at) => base64Core(bytes, at))];
    for (const { name } of tables) {
      const rows = await api.sql<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      for (const { row } of rows) for (const form of forms) expect(row).not.toContain(form);
    }
  });

  it('is encrypted with a new nonce each time', async () => {
    const box = new SecretBox([key]);
    const sealed = Array.from({ length: 5_000 }, () => box.seal(secret, ['x']));
    expect(new Set(sealed.map(({ nonce }) => nonce.toString('hex'))).size).toBe(5_000);
    expect(new Set(sealed.map(({ ciphertext }) => ciphertext.toString('hex'))).size).toBe(5_000);
    const world = await stored();
    const nonce = async (): Promise<string | undefined> => {
      const where = `project_id = $1 AND name = 'TOKEN'`;
      const [row] = await api.sql<{ nonce: Buffer }>(`SELECT nonce FROM project_secrets WHERE ${where}`, [
        world.project.id,
      ]);
      return row?.nonce.toString('hex');
    };
    const before = await nonce();
    await put(world, 'TOKEN', { value: secret });
    expect(await nonce()).not.toBe(before);
  });

  it('is opened for its project', async () => {
    const credential = { username: 'ci', password: secret };
    expect(await open(await stored())).toEqual({
      build: new Map([['TOKEN', secret]]),
      git: [{ scope: 'https://git.example.com', ...credential }],
      registries: [{ scope: 'reg.example.com', ...credential }],
    });
  });

  it('is opened for no project of another tenant, whatever id is asked for', async () => {
    const [world, other] = [await stored(), await World.make(api)];
    const nothing = { build: new Map(), git: [], registries: [] };
    expect(await vaultWith(key).open({ tenantId: other.tenantId, projectId: world.project.id })).toEqual(nothing);
  });
});

describe('a row that was changed in the database', () => {
  it.each<[string, string]>([
    ['another name', `name = 'OTHER'`],
    ['another kind', `kind = 'registry', scope = 'reg.example.com', username = 'ci'`],
    ['another nonce', `nonce = '\\x000000000000000000000000'`],
    ['another byte', `ciphertext = set_byte(ciphertext, 3, get_byte(ciphertext, 3) # 1)`],
    [
      'another tag',
      `ciphertext = set_byte(ciphertext, length(ciphertext) - 1, get_byte(ciphertext, length(ciphertext) - 1) # 1)`,
    ],
    ['a shorter tag', `ciphertext = substr(ciphertext, 1, length(ciphertext) - 4)`],
    ['nothing', `ciphertext = ''`],
  ])('does not decrypt: %s', async (_, change) => {
    const world = await World.make(api);
    await put(world, 'TOKEN', { value: secret });
    await api.sql(`UPDATE project_secrets SET ${change} WHERE project_id = $1`, [world.project.id]);
    await expect(open(world)).rejects.toThrow(/cannot be decrypted: it was changed in the database/);
  });

  it.each<[string, string]>([
    ['another registry', `scope = 'evil.example.com'`],
    ['another user name', `username = 'root'`],
  ])('does not decrypt: %s', async (_, change) => {
    const world = await stored();
    await api.sql(`UPDATE project_secrets SET ${change} WHERE project_id = $1 AND name = 'push'`, [world.project.id]);
    await expect(open(world)).rejects.toThrow(SecretUnreadable);
  });

  it('does not decrypt in another project or for another tenant', async () => {
    const [world, other] = [await World.make(api), await World.make(api)];
    await put(world, 'TOKEN', { value: secret });
    const sibling = await world.otherProject();
    const move = 'UPDATE project_secrets SET project_id = $2, tenant_id = $3 WHERE project_id = $1';
    await api.sql(move, [world.project.id, sibling.id, world.tenantId]);
    const vault = vaultWith(key);
    await expect(vault.open({ tenantId: world.tenantId, projectId: sibling.id })).rejects.toThrow(SecretUnreadable);
    await api.sql(move, [sibling.id, other.project.id, other.tenantId]);
    await expect(open(other)).rejects.toThrow(SecretUnreadable);
    await api.sql(move, [other.project.id, world.project.id, world.tenantId]);
    expect((await open(world)).build).toEqual(new Map([['TOKEN', secret]]));
  });
});

describe('the keys', () => {
  const idOf = (one: Buffer): string | null => new SecretBox([one]).keyId;
  const keyIds = async ({ project }: World): Promise<string[]> => {
    const rows = await api.sql<{ key_id: string }>(
      'SELECT DISTINCT key_id FROM project_secrets WHERE project_id = $1',
      [project.id],
    );
    return rows.map(({ key_id }) => key_id);
  };

  it('can be changed: the first encrypts, all decrypt, and a start leaves nothing under the old one', async () => {
    const world = await stored();
    const [before, next] = [await open(world), randomBytes(32)];
    expect(await open(world, vaultWith(next, key))).toEqual(before);
    expect(await keyIds(world)).toEqual([idOf(key)]);
    await vaultWith(next, key).onApplicationBootstrap();
    expect(await keyIds(world)).toEqual([idOf(next)]);
    expect(await open(world, vaultWith(next))).toEqual(before);
    await vaultWith(key, next).onApplicationBootstrap();
    expect(await open(world)).toEqual(before);
  });

  it('tell which secret a wrong one cannot open, and leave it as it is', async () => {
    const world = await stored();
    const stranger = vaultWith(randomBytes(32));
    await expect(open(world, stranger)).rejects.toThrow(
      'The secret "TOKEN" of the project cannot be decrypted: it was stored under another SECRETS_KEY; store it again',
    );
    await stranger.onApplicationBootstrap();
    expect((await open(world)).build).toEqual(new Map([['TOKEN', secret]]));
    await expect(open(world, vaultWith())).rejects.toThrow(SecretUnreadable);
  });
});

describe('a credential of git', () => {
  const password = `password-${randomUUID()}`;
  const repository = new GitRepository();
  const heard: (string | undefined)[] = [];
  let server: GitHttpServer;
  let bench: GitCheckoutBench;

  beforeAll(async () => {
    repository.commit({ a: '1' });
    server = await GitHttpServer.start(repository, {
      intercept: ({ headers }) => {
        heard.push(headers.authorization);
        return false;
      },
    });
  });
  beforeEach(() => {
    heard.length = 0;
    bench = new GitCheckoutBench();
  });
  afterEach(() => {
    bench.remove();
  });
  afterAll(async () => {
    await server.stop();
    repository.remove();
  });

  const basic = (user: string, pass: string): string => `Basic ${Buffer.from(`${user}:${pass}`).toString('base64')}`;

  it('goes to its own server, and into no argument', async () => {
    await bench.checkout(server.url, { credentials: [{ scope: server.origin, username: 'ci', password }] });
    expect(new Set(heard)).toEqual(new Set([basic('ci', password)]));
    expect(bench.commands.flat().join(' ')).not.toContain(password);
  });

  it.each([
    ['another port', 'http://127.0.0.1:1'],
    ['another scheme', 'https://127.0.0.1'],
    ['another host', 'http://git.example.com'],
  ])('goes to no server but its own: %s', async (_, scope) => {
    await bench.checkout(server.url, { credentials: [{ scope, username: 'ci', password }] });
    expect(new Set(heard)).toEqual(new Set([undefined]));
  });

  it('of the URL is taken out of it before git sees it, and gives way to one of the project', async () => {
    const url = server.url.replace('//', `//user%40corp:${password}@`);
    await bench.checkout(url, {});
    expect(new Set(heard)).toEqual(new Set([basic('user@corp', password)]));
    expect(bench.commands.flat().join(' ')).not.toContain(password);
    heard.length = 0;
    bench.remove();
    bench = new GitCheckoutBench();
    await bench.checkout(url, { credentials: [{ scope: server.origin, username: 'ci', password: 'other' }] });
    expect(new Set(heard)).toEqual(new Set([basic('ci', 'other')]));
  });
});

function base64Core(bytes: Buffer, offset: number): string {
  return Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .slice(4, -4);
}
