import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseImageName, type ImageName } from './image-name';
import { authFor, isGranted, registrySecrets, type RegistryAccess } from './registry-auth';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-auth-'));
});
afterAll(() => rm(directory, { recursive: true }));

const write = async (content: unknown): Promise<string> => {
  const file = path.join(directory, 'auth.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
};

function imageOf(name: string): ImageName {
  const image = parseImageName(name);
  if (image === null) throw new Error(`"${name}" is no image`);
  return image;
}

/** What a build may use for these images: of the operator, by grant, and of its own. */
async function authsFor(names: readonly string[], access: Partial<RegistryAccess>): Promise<object[]> {
  const all = { authFile: null, prefixes: [], own: [], ...access };
  return Promise.all(names.map(async (name) => (await authFor(all, imageOf(name))).auths));
}

it.each([
  ['reg.test/team', ['reg.test/team'], true],
  ['reg.test/team/app', ['reg.test/team'], true],
  ['reg.test/team/app', ['reg.test/team/'], true],
  ['reg.test/team/app', ['reg.test'], true],
  ['reg.test/teammate', ['reg.test/team'], false],
  ['reg.test/team', ['reg.test/team/app'], false],
  ['reg.test.evil/team', ['reg.test'], false],
  ['reg.test/team', ['', '/'], false],
  ['reg.test/team', [], false],
])('%s under %j: %s', (repository, prefixes, expected) => {
  expect(isGranted(repository, prefixes)).toBe(expected);
});

describe("the operator's credentials for an image", () => {
  it('name its repository alone, and only if it is granted', async () => {
    const authFile = await write({
      auths: { 'reg.test': { auth: 'all' }, 'other.test': { auth: 'no' } },
      credsStore: 'x',
    });
    const wanted = ['reg.test/team/app:1', 'reg.test/foreign/app', 'other.test/x'];
    const expected = [{ 'reg.test/team/app': { auth: 'all' } }, {}, {}];
    expect(await authsFor(wanted, { authFile, prefixes: ['reg.test/team'] })).toEqual(expected);
  });

  it('come from the most exact entry', async () => {
    const authFile = await write({ auths: { 'reg.test': { auth: 'all' }, 'reg.test/team': { auth: 'team' } } });
    const expected = [{ 'reg.test/team/app': { auth: 'team' } }, { 'reg.test/x': { auth: 'all' } }];
    expect(await authsFor(['reg.test/team/app', 'reg.test/x'], { authFile, prefixes: ['reg.test'] })).toEqual(expected);
  });

  it('are found under the names that Docker uses for its hub', async () => {
    const authFile = await write({ auths: { 'https://index.docker.io/v1/': { auth: 'hub' } } });
    const access = { authFile, prefixes: ['docker.io/team'] };
    expect(await authsFor(['team/app'], access)).toEqual([{ 'docker.io/team/app': { auth: 'hub' } }]);
  });

  it('are not even read without a grant', async () => {
    const authFile = '/nowhere';
    expect(await authsFor(['reg.test/x'], { authFile })).toEqual([{}]);
    await expect(authsFor(['reg.test/x'], { authFile, prefixes: ['reg.test'] })).rejects.toThrow(
      '"/nowhere" cannot be read',
    );
  });

  it('do not appear in the message about a broken file', async () => {
    const authFile = await write('{"auths": {"reg.test": {"auth": "c2VjcmV0"');
    await expect(authsFor(['reg.test/x'], { authFile, prefixes: ['reg.test'] })).rejects.toThrow(
      /holds no JSON object\.$/,
    );
  });
});

describe("a project's own credentials", () => {
  const credential = (scope: string, password: string) => ({ scope, username: 'ci', password });
  const auth = (password: string): string => Buffer.from(`ci:${password}`).toString('base64');
  const own = [credential('reg.test', 'all'), credential('reg.test/team', 'team'), credential('docker.io', 'hub')];

  it('come before those of the operator, the one with the longest scope first, each in its scope alone', async () => {
    const authFile = await write({ auths: { 'reg.test': { auth: 'x' }, 'other.test': { auth: 'operator' } } });
    const access = { authFile, prefixes: ['reg.test', 'other.test'], own };
    const names = ['reg.test/team/app', 'reg.test/teammate', 'reg.test.evil/a', 'other.test/a', 'alpine'];
    expect(await authsFor(names, access)).toEqual([
      { 'reg.test/team/app': { auth: auth('team') } },
      { 'reg.test/teammate': { auth: auth('all') } },
      {},
      { 'other.test/a': { auth: 'operator' } },
      { 'docker.io/library/alpine': { auth: auth('hub') } },
    ]);
  });
});

it('lists every secret of the file, also the password inside of the encoded pair', async () => {
  const auth = Buffer.from('user:pass:word').toString('base64');
  const file = await write({ auths: { 'reg.test': { auth, identitytoken: 'token' } } });
  expect(await registrySecrets(file)).toEqual(expect.arrayContaining([auth, 'pass:word', 'token']));
});

it('masks no user name and no address: a log may need these words', async () => {
  const file = await write({
    auths: { 'reg.test': { username: 'developer', email: 'a@reg.test', password: 'sesame-123' } },
  });
  expect(await registrySecrets(file)).toEqual(['sesame-123']);
});
