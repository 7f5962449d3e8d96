import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseEnv } from '../config/env';
import { loadSecretKeys } from './secret-keys';

const hex = 'ab'.repeat(32);

describe('SECRETS_KEY', () => {
  it.each([
    hex,
    hex.toUpperCase(),
    Buffer.from(hex, 'hex').toString('base64'),
    Buffer.from(hex, 'hex').toString('base64url'),
  ])('is read as %s', (text) => {
    expect(parseEnv({ SECRETS_KEY: text }).SECRETS_KEY).toEqual([Buffer.from(hex, 'hex')]);
  });

  it.each(['short', hex.slice(2), `${hex},short`, 'a password of exactly 32 bytes!!', 'x'.repeat(42)])(
    'is refused without being shown: %s',
    (text) => {
      expect(() => parseEnv({ SECRETS_KEY: text })).toThrow(
        /^Bad settings: SECRETS_KEY must list keys of 32 bytes, each as base64 or as 64 hex digits\.$/,
      );
    },
  );
});

describe('the keys of a process', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'image-factory-keys-'));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  const load = (settings: Record<string, string> = {}): Promise<readonly Buffer[]> =>
    loadSecretKeys(parseEnv({ DATA_DIR: dataDir, ...settings }));

  it('are those of the setting, in its order', async () => {
    expect(await load({ SECRETS_KEY: `${hex}, ${'cd'.repeat(32)}` })).toEqual([
      Buffer.from(hex, 'hex'),
      Buffer.alloc(32, 0xcd),
    ]);
  });

  it('are made once with the embedded database, and kept where nobody else can read them', async () => {
    const [first, second] = await Promise.all([load(), load()]);
    expect(first).toEqual(second);
    expect(first[0]).toHaveLength(32);
    const { mode } = await stat(path.join(dataDir, 'secrets-key'));
    expect(mode & 0o777).toBe(0o600);
    expect(await load()).toEqual(first);
    expect((await load()).map((key) => key.toString('base64'))).toEqual([
      await readFile(path.join(dataDir, 'secrets-key'), 'utf8'),
    ]);
  });

  it('are not made anew in place of a broken file', async () => {
    await writeFile(path.join(dataDir, 'secrets-key'), 'broken');
    await expect(load()).rejects.toThrow(/secrets-key holds no key of 32 bytes; put back the one that was there$/);
  });

  it('are none with a database that other machines may use as well', async () => {
    const settings = { DATABASE_URL: 'postgres://x@y/z', JWT_SECRET: 'x'.repeat(32) };
    expect(await load(settings)).toEqual([]);
  });
});
