import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { readPlainFile } from './plain-file';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-plain-file-'));
});
afterAll(() => rm(directory, { recursive: true }));

const at = (name: string): string => path.join(directory, name);

it('reads a file up to its limit', async () => {
  await writeFile(at('four'), 'four');
  await writeFile(at('empty'), '');
  await expect(readPlainFile(at('four'), 4)).resolves.toBe('four');
  await expect(readPlainFile(at('four'), 3)).resolves.toBeNull();
  await expect(readPlainFile(at('empty'), 3)).resolves.toBe('');
});

it('follows no link', async () => {
  await symlink('/etc/passwd', at('link'));
  await expect(readPlainFile(at('link'), 1_000_000)).rejects.toThrow('ELOOP');
});

it('does not wait at a pipe', async () => {
  execFileSync('mkfifo', [at('pipe')]);
  await expect(readPlainFile(at('pipe'), 10)).rejects.toThrow('is no plain file');
});

it('refuses a directory', async () => {
  await expect(readPlainFile(directory, 10)).rejects.toThrow('is no plain file');
});
