import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Owners } from '../../../src/execution/files/owners';

const directory = mkdtempSync(path.join(tmpdir(), 'image-factory-owners-'));
/** As built: a compiler of tests does not load where all files are another user's. */
const built = path.join(__dirname, '..', '..', '..', 'dist', 'src', 'execution', 'files', 'owners');
const program = `
  const { Owners } = require(${JSON.stringify(built)});
  console.log(new Owners(${JSON.stringify(directory)}).own());
  setInterval(() => undefined, 1_000);
`;
const children: ChildProcess[] = [];

/** A process in a PID namespace of its own, as in a container, and the name that it took. */
async function otherOwner(): Promise<{ readonly name: string; kill(): Promise<void> }> {
  const namespace = ['--user', '--map-current-user', '--pid', '--fork', '--kill-child'];
  const child = spawn('unshare', [...namespace, process.execPath, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const died = once(child, 'exit').then(() => Promise.reject(new Error('The owner did not start')));
  const [name] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), died])) as [string];
  died.catch(() => undefined);
  const kill = async (): Promise<void> => {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  };
  return { name, kill };
}

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

describe('the owner of scratch files', () => {
  it('is known for alive or dead also from another PID namespace, and leaves no file', async () => {
    const owners = new Owners(directory);
    const other = await otherOwner();
    expect(owners.isAlive(other.name)).toBe(true);
    await other.kill();
    expect(owners.isAlive(other.name)).toBe(false);
    expect(owners.isAlive(other.name)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('takes one name for all that it owns, and clears away those of the dead', async () => {
    const [dead, living] = [await otherOwner(), await otherOwner()];
    await dead.kill();
    const own = new Owners(directory).own();
    expect(new Owners(directory).own()).toBe(own);
    expect(readdirSync(directory).sort()).toEqual([living.name, own].sort());
    await living.kill();
  });
});
