import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseImageName, type ImageName } from './image-name';
import { authFor, isGranted, registrySecrets } from './registry-auth';

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
const images = (...names: string[]): ImageName[] => names.map(parseImageName).filter((image) => image !== null);

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

describe('the credentials for a phase', () => {
  it('name the granted repositories alone, not their registry', async () => {
    const file = await write({ auths: { 'reg.test': { auth: 'all' }, 'other.test': { auth: 'no' } }, credsStore: 'x' });
    const wanted = images('reg.test/team/app:1', 'reg.test/foreign/app', 'other.test/x');
    expect(await authFor(file, wanted, ['reg.test/team'])).toEqual({ auths: { 'reg.test/team/app': { auth: 'all' } } });
  });

  it('come from the most exact entry', async () => {
    const file = await write({ auths: { 'reg.test': { auth: 'all' }, 'reg.test/team': { auth: 'team' } } });
    const { auths } = await authFor(file, images('reg.test/team/app', 'reg.test/x'), ['reg.test']);
    expect(auths).toEqual({ 'reg.test/team/app': { auth: 'team' }, 'reg.test/x': { auth: 'all' } });
  });

  it('are found under the names that Docker uses for its hub', async () => {
    const file = await write({ auths: { 'https://index.docker.io/v1/': { auth: 'hub' } } });
    const { auths } = await authFor(file, images('team/app'), ['docker.io/team']);
    expect(auths).toEqual({ 'docker.io/team/app': { auth: 'hub' } });
  });

  it('are not even read without a grant', async () => {
    expect(await authFor('/nowhere', images('reg.test/x'), [])).toEqual({ auths: {} });
    await expect(authFor('/nowhere', images('reg.test/x'), ['reg.test'])).rejects.toThrow('"/nowhere" cannot be read');
  });

  it('do not appear in the message about a broken file', async () => {
    const file = await write('{"auths": {"reg.test": {"auth": "c2VjcmV0"');
    await expect(authFor(file, images('reg.test/x'), ['reg.test'])).rejects.toThrow(/holds no JSON object\.$/);
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
