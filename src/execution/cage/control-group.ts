import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { access, constants, mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What all processes of one command in a cage may use together. */
export interface ResourceLimits {
  readonly memoryMb: number;
  readonly pids: number;
}

export type ExceededLimit = 'memory' | 'pids';

/** The control groups in which this process is, of the controllers that count memory and processes. */
interface Parents {
  readonly memory: string;
  readonly pids: string;
  /** Null where none can be had: then a command takes as much of the processors as it likes. */
  readonly cpu: string | null;
  /** One hierarchy for all controllers (version 2), or one for each. */
  readonly isUnified: boolean;
}

/** Of the processors when they are scarce, by the usual 1,024 and 100: the worker and its leases come before the builds. */
const [cpuShares, cpuWeight] = [256, 25];

const prefix = 'image-factory-';
const root = '/sys/fs/cgroup';

/** A group that was just made is empty as well, and its worker may be in a PID namespace that is not seen from here. */
const leftOverMs = 5_000;
const removalTries = 40;
const removalPauseMs = 50;

/**
 * A control group for one command in a cage and all that descends from it, below the group of the worker. The kernel counts
 * what happened in it, also what the command kept to itself.
 */
export class ControlGroup {
  private constructor(
    private readonly parents: Parents,
    private readonly name: string,
  ) {}

  /** @throws Error with the reason why this host, or this user, can limit nothing */
  public static async make({ memoryMb, pids }: ResourceLimits): Promise<ControlGroup> {
    const group = new ControlGroup(await parents(), `${prefix}${process.pid}-${randomUUID()}`);
    const { isUnified } = group.parents;
    const bytes = String(memoryMb * 1_024 * 1_024);
    try {
      for (const directory of group.directories) await mkdir(directory);
      if (isUnified) {
        await writeFile(group.file('memory', 'memory.max'), bytes);
        // Absent where the kernel counts no swap.
        await writeFile(group.file('memory', 'memory.swap.max'), '0').catch(() => undefined);
      } else {
        await writeFile(group.file('memory', 'memory.limit_in_bytes'), bytes);
        await writeFile(group.file('memory', 'memory.memsw.limit_in_bytes'), bytes).catch(() => undefined);
      }
      await writeFile(group.file('pids', 'pids.max'), String(pids));
      await group.giveWay();
      return group;
    } catch (error) {
      await group.remove();
      throw error;
    }
  }

  /** Removes what killed workers left of theirs. */
  public static async sweep(): Promise<void> {
    const above = await parents().catch(() => null);
    if (above === null) return;
    for (const parent of parentsIn(above)) {
      const names = (await readdir(parent).catch(() => [])).filter((name) => name.startsWith(prefix));
      for (const directory of names.map((name) => path.join(parent, name))) {
        if (isAlive(path.basename(directory).slice(prefix.length).split('-', 1)[0])) continue;
        const made = await stat(directory).catch(() => null);
        // Only an empty one can be removed.
        if (made !== null && Date.now() - made.mtimeMs > leftOverMs) await rmdir(directory).catch(() => undefined);
      }
    }
  }

  /** The files in which a process writes its number to enter. */
  public get entrances(): string[] {
    return this.directories.map((directory) => path.join(directory, 'cgroup.procs'));
  }

  /** The processes in it, by their numbers. */
  public async pids(): Promise<number[]> {
    const [directory = ''] = this.directories;
    const inner = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
    const lists = inner
      .filter(({ name }) => name === 'cgroup.procs')
      .map((file) => path.join(file.parentPath, file.name));
    const texts = await Promise.all(lists.map((list) => readFile(list, 'utf8').catch(() => '')));
    return texts.flatMap((text) =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map(Number),
    );
  }

  /** The limit at which something was refused or killed; null when none was reached. */
  public async exceeded(): Promise<ExceededLimit | null> {
    const kills = await this.count(
      'memory',
      this.parents.isUnified ? 'memory.events' : 'memory.oom_control',
      'oom_kill',
    );
    if (kills > 0) return 'memory';
    return (await this.count('pids', 'pids.events', 'max')) > 0 ? 'pids' : null;
  }

  /** Once its processes are dead; what the kernel still holds is left to a sweep. */
  public async remove(): Promise<void> {
    for (const directory of this.directories) {
      for (let tries = 0; tries < removalTries && existsSync(directory); tries += 1) {
        if (tries > 0) await sleep(removalPauseMs);
        await rmdir(directory).catch(() => undefined);
      }
    }
  }

  private async giveWay(): Promise<void> {
    const { cpu, isUnified } = this.parents;
    if (cpu === null) return;
    const [name, value] = isUnified ? ['cpu.weight', cpuWeight] : ['cpu.shares', cpuShares];
    await writeFile(path.join(cpu, this.name, name), String(value));
  }

  private get directories(): string[] {
    return parentsIn(this.parents).map((parent) => path.join(parent, this.name));
  }

  private file(controller: 'memory' | 'pids', name: string): string {
    return path.join(this.parents[controller], this.name, name);
  }

  private async count(controller: 'memory' | 'pids', name: string, key: string): Promise<number> {
    const text = await readFile(this.file(controller, name), 'utf8').catch(() => '');
    return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  }
}

function parentsIn({ memory, pids, cpu }: Parents): string[] {
  return [...new Set([memory, pids, ...(cpu === null ? [] : [cpu])])];
}

async function isWritable(directory: string): Promise<boolean> {
  return access(directory, constants.W_OK).then(
    () => true,
    () => false,
  );
}

function isAlive(pid = ''): boolean {
  return existsSync(path.join('/proc', pid));
}

let found: Promise<Parents> | null = null;

/** Looked for once: in version 2 this process moves, and is then in another group. */
function parents(): Promise<Parents> {
  found ??= findParents().catch((error: unknown) => {
    found = null;
    throw error;
  });
  return found;
}

/** By `/proc/self/cgroup`: a line for each hierarchy, `number:controllers:path`, without controllers for version 2. */
async function findParents(): Promise<Parents> {
  const groups = new Map<string, string>();
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n')) {
    const [, controllers = '', ...rest] = line.split(':');
    for (const controller of controllers.split(',')) groups.set(controller, rest.join(':'));
  }
  const [memory, pids, cpu, unified] = [groups.get('memory'), groups.get('pids'), groups.get('cpu'), groups.get('')];
  if (memory !== undefined && pids !== undefined) {
    const ofCpu = path.join(root, 'cpu', cpu ?? '');
    return {
      memory: path.join(root, 'memory', memory),
      pids: path.join(root, 'pids', pids),
      cpu: cpu !== undefined && (await isWritable(ofCpu)) ? ofCpu : null,
      isUnified: false,
    };
  }
  if (unified === undefined) throw new Error('no control groups of memory and processes are mounted');
  const own = path.join(root, unified);
  const controllers = await delegate(own);
  return { memory: own, pids: own, cpu: controllers.includes('cpu') ? own : null, isUnified: true };
}

/** Groups below one that has processes of its own get no controllers in version 2: so this process moves into a leaf. */
async function delegate(own: string): Promise<string[]> {
  const control = path.join(own, 'cgroup.subtree_control');
  const listed = async (file: string): Promise<string[]> => (await readFile(file, 'utf8')).trim().split(' ');
  const [given, available] = [await listed(control), await listed(path.join(own, 'cgroup.controllers'))];
  const wanted = ['memory', 'pids', ...(available.includes('cpu') ? ['cpu'] : [])];
  if (wanted.every((name) => given.includes(name))) return given;
  const leaf = path.join(own, 'image-factory');
  await mkdir(leaf, { recursive: true });
  const members = (await readFile(path.join(own, 'cgroup.procs'), 'utf8')).trim().split('\n');
  for (const pid of members.filter((each) => each !== '')) await writeFile(path.join(leaf, 'cgroup.procs'), pid);
  await writeFile(control, wanted.map((name) => `+${name}`).join(' '));
  return wanted;
}
