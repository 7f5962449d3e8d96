import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 5;

/** `npm start` on a directory of data, as an operator runs it: all roles in one process, and the embedded PostgreSQL. */
export class NpmStart {
  private constructor(
    private readonly child: ChildProcess,
    /** From the command to the first answer of `/health/ready` that says yes. */
    public readonly readySeconds: number,
  ) {}

  /** @throws Error with what it printed when it ends instead */
  public static async run(dataDir: string): Promise<NpmStart> {
    const began = performance.now();
    const child = spawn('npm', ['start', '--silent'], {
      cwd: path.join(__dirname, '..', '..'),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: dataDir, PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const printed: string[] = [];
    for (const pipe of [child.stdout, child.stderr]) {
      createInterface({ input: pipe }).on('line', (line) => printed.push(line));
    }
    while (!(await isReady(printed))) {
      if (child.exitCode !== null) throw new Error(`npm start ended: ${printed.join('\n')}`);
      await sleep(pollMs);
    }
    return new NpmStart(child, (performance.now() - began) / 1_000);
  }

  public async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }
}

async function isReady(printed: readonly string[]): Promise<boolean> {
  const [, url] = /"url":"([^"]+)"/.exec(printed.find((line) => line.includes('Image Factory serves')) ?? '') ?? [];
  if (url === undefined) return false;
  return fetch(`${url}/health/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}
