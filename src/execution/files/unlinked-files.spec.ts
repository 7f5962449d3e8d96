import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Unmeasurable, unlinkedBytes } from './unlinked-files';

const bytes = 3 * 1024 * 1024;
let directory: string;
let pid: number;
let stop: () => Promise<void>;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-unlinked-'));
  const script = `exec 3> ${directory}/gone; head -c ${bytes} /dev/zero >&3; exec 4< ${directory}/gone; rm ${directory}/gone; echo held; read end`;
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  pid = child.pid ?? 0;
  stop = async () => {
    child.stdin.end();
    await once(child, 'exit');
  };
});

afterAll(async () => {
  await stop();
  await rm(directory, { recursive: true });
});

const never = new AbortController().signal;

it('counts a file without a name that is open, once', async () => {
  const inMemory = (await statfs(directory)).type === 0x0102_1994;
  const found = await unlinkedBytes([pid, pid, 2 ** 22 + 1], never);
  expect(found).toBeGreaterThanOrEqual(inMemory ? 0 : bytes);
  expect(found).toBeLessThan(2 * bytes);
});

it('gives up before more open or mapped files than it may look at', async () => {
  await expect(unlinkedBytes([pid], never, { openFiles: 2, mapBytes: 1e9 })).rejects.toThrow(Unmeasurable);
  await expect(unlinkedBytes([pid], never, { openFiles: 100, mapBytes: 10 })).rejects.toThrow(Unmeasurable);
  await expect(unlinkedBytes([pid], AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
});
