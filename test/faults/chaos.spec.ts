import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const output: string[] = [];
let chaos: ChildProcess;

/** What was found, without what was said meanwhile: reports of test runs are cut after some lines. */
function findings(): string {
  const first = output.findIndex((line) => /^[A-Z]+: /.test(line));
  return output.slice(Math.max(first, 0)).join('\n');
}

/** A number of the table at the end. */
function told(name: string): number {
  const line = output.find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length) ?? Number.NaN);
}

beforeAll(async () => {
  const register = path.join(__dirname, '..', 'support', 'register.cjs');
  const program = path.join(__dirname, '..', 'chaos', 'main.ts');
  chaos = spawn(process.execPath, ['-r', register, program, '--minutes', '1'], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [chaos.stdout, chaos.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', (line) => output.push(line));
  }
  await once(chaos, 'close');
}, 400_000);

afterAll(async () => {
  if (chaos.exitCode !== null || chaos.signalCode !== null) return;
  const ended = once(chaos, 'exit');
  chaos.kill('SIGTERM');
  await ended;
}, 60_000);

describe('a minute of chaos', () => {
  it('finds nothing lost, doubled, reordered, stuck, wrong or left over', () => {
    expect(chaos.exitCode === 0 ? 'nothing was found' : findings()).toBe('nothing was found');
  });

  it('was chaos: processes were killed, the database was restarted, and builds ended meanwhile', () => {
    expect(told('kills of an API') + told('kills of a worker')).toBeGreaterThanOrEqual(5);
    expect(told('database restarts')).toBeGreaterThanOrEqual(1);
    expect(told('builds ended')).toBeGreaterThanOrEqual(10);
    expect(told('builds succeeded')).toBeGreaterThanOrEqual(1);
    expect(told('lines followed')).toBeGreaterThan(0);
  });
});
