import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cage, type CageNetwork } from '../../../src/execution/cage/cage';
import type { RunOptions } from '../../../src/execution/process/run-process';
import { buildUser } from '../../support/engine/engine-room';
import { processesWith } from '../../support/engine/processes';
import { waitUntil } from '../../support/wait-until';

const isRoot = process.geteuid?.() === 0;
let dataDir: string;
let secretFile: string;
let cage: Cage;

/** Runs a shell script in a cage that shows `work` (writable) and `source` (read-only). */
const run = async (script: string, network: CageNetwork = 'none', options: Partial<RunOptions> = {}) => {
  const [work, source] = ['work', 'source'].map((name) => path.join(dataDir, name));
  const view = cage.view({ writable: { work: String(work) }, readOnly: { source: String(source) } });
  const lines: string[] = [];
  const onLine: RunOptions['onLine'] = ({ text }) => void lines.push(text);
  const words = [view.inside(String(work)), view.inside(String(source)), dataDir, secretFile];
  const result = await view.run(network)(['sh', '-c', script, 'sh', ...words], { env: {}, onLine, ...options });
  return { ...result, lines };
};

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'image-factory-cage-'));
  await chmod(dataDir, 0o700);
  // Not in /tmp, which is another in a cage, and as root not in a home either: all homes are hidden.
  secretFile = path.join(isRoot ? '/var/lib' : os.homedir(), `.image-factory-${randomUUID()}`);
  await writeFile(secretFile, 'secret');
  cage = new Cage({ buildUser, dataDir, hidden: [secretFile] });
  await cage.makeDir(path.join(dataDir, 'work'));
  for (const name of ['source', 'hidden']) {
    await mkdir(path.join(dataDir, name));
    await writeFile(path.join(dataDir, name, 'file'), name);
  }
});
afterAll(async () => {
  await cage.removeDir(dataDir);
  await rm(secretFile);
});

it('can be made on this host', async () => {
  await expect(cage.check()).resolves.toBeUndefined();
});

it('passes on output, input, exit status and the given environment, and nothing of our own', async () => {
  const { lines, exitCode } = await run(
    'echo "$GIVEN"; echo err >&2; cat; env | cut -d= -f1 | sort | xargs; exit 7',
    'none',
    {
      env: { GIVEN: 'a b' },
      stdin: 'typed\n',
    },
  );
  expect(exitCode).toBe(7);
  expect(lines).toEqual(expect.arrayContaining(['a b', 'err', 'typed', 'GIVEN PATH PWD']));
});

it('shows directories below a 0700 home: one to write, one to read, and nothing else of the data', async () => {
  const { lines } = await run(
    'cat "$2/file"; echo; echo new > "$1/made" && echo written; echo x > "$2/file"; ls -A "$3" | wc -l',
  );
  expect(lines.slice(0, 2)).toEqual(['source', 'written']);
  expect(lines.find((line) => line.includes('Read-only file system'))).toBeDefined();
  expect(lines).not.toContain('hidden');
  expect(existsSync(path.join(dataDir, 'work', 'made'))).toBe(true);
  expect(await stat(path.join(dataDir, 'source', 'file'))).toMatchObject({ size: 'source'.length });
});

it('hides files that no command may see', async () => {
  const { lines } = await run('cat "$4" 2>/dev/null | wc -c');
  expect(lines).toEqual(['0']);
});

it('shows nothing of homes and of the directory in which the service runs', async () => {
  const places = ['/home', os.homedir(), process.cwd()];
  expect(readdirSync(process.cwd())).toContain('package.json');
  const { lines } = await run(places.map((each) => `ls -A '${each}' | sed 's/^/seen /'`).join('; '));
  expect(lines.filter((line) => line.startsWith('seen '))).toEqual([]);
});

it('shows no process of the host, and an empty /tmp', async () => {
  const { lines } = await run("ls /proc | grep -c '^[0-9]'; ls -A /tmp /var/tmp | grep -c .");
  expect(Number(lines[0])).toBeLessThan(10);
  expect(Number(lines[1])).toBe(2); // The two headings.
});

it('runs commands without any capability over the host', async () => {
  const { lines } = await run('id -u; cat /proc/self/uid_map | xargs; hostname changed-by-a-test');
  if (isRoot) expect(Number(lines[0])).not.toBe(0);
  else expect(lines[1]).toMatch(new RegExp(`^0 ${String(process.getuid?.())} 1 `));
  expect(os.hostname()).not.toBe('changed-by-a-test');
});

it('reaches no server on the loopback of the host, but by a relay to the one that is allowed', async () => {
  const server = net.createServer((socket) => socket.end('reached\n')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const fetchIt = `busybox nc -w 2 127.0.0.1 ${port} </dev/null || echo refused`;
  const closed = cage;
  try {
    expect((await run(fetchIt, 'none')).lines).toContain('refused');
    expect((await run(fetchIt, 'own')).lines).toContain('refused');
    cage = new Cage({ buildUser, dataDir, egress: { allow: [`127.0.0.1:${port}`], nameServers: [] } });
    expect((await run(fetchIt, 'own')).lines).toContain('reached');
    expect((await run(fetchIt, 'none')).lines).toContain('refused');
  } finally {
    cage = closed;
    server.close();
  }
});

it('gives each cage that runs at once an address of its own, or says that there is no way out', async () => {
  const missing = await cage.describe();
  const script = "ip -4 -o address show dev eth0 2>/dev/null | awk '{print $4}'; ip route | grep -c default; sleep 0.5";
  const all = await Promise.all(Array.from({ length: 6 }, () => run(script, 'own')));
  if (missing.some((sentence) => sentence.includes('no network'))) {
    expect(all.map(({ lines }) => lines[0])).toEqual(Array(6).fill('0'));
  } else if (isRoot) {
    expect(new Set(all.map(({ lines }) => lines[0])).size).toBe(6);
    await waitUntil(() => !execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).includes('ifcage'), 10_000);
  } else {
    expect(all.map(({ lines }) => lines.at(-1))).toEqual(Array(6).fill('1'));
  }
});

describe('an abort', () => {
  const abortAfterStart = async (script: string, killAfterMs: number) => {
    const mark = randomUUID();
    const stop = new AbortController();
    const onLine: RunOptions['onLine'] = ({ text }) => {
      lines.push(text);
      if (text === 'up') stop.abort(new Error('stop'));
    };
    const lines: string[] = [];
    const began = performance.now();
    await expect(run(`: ${mark}; ${script}`, 'none', { signal: stop.signal, killAfterMs, onLine })).rejects.toThrow(
      'stop',
    );
    expect(processesWith(mark)).toEqual([]);
    return { lines, elapsed: performance.now() - began };
  };

  it('gives commands their time to end after TERM', async () => {
    const { lines } = await abortAfterStart(
      'trap "sleep 1; echo tidied; exit" TERM; echo up; while :; do sleep 0.1; done',
      5_000,
    );
    expect(lines).toContain('tidied');
  });

  it('kills what ignores TERM, also in a session of its own', async () => {
    const { elapsed } = await abortAfterStart(
      'trap "" TERM; setsid sh -c "while :; do sleep 1; done" & setsid -f sleep 1000; echo up; while :; do sleep 0.1; done',
      1_500,
    );
    expect(elapsed).toBeGreaterThan(1_400);
    expect(elapsed).toBeLessThan(6_000);
  });
});

it('ends what a command left in the background', async () => {
  const mark = randomUUID();
  await run(`setsid -f sh -c ': ${mark}; sleep 1000' >/dev/null 2>&1; sleep 0.2`);
  await sleep(100);
  expect(processesWith(mark)).toEqual([]);
});
