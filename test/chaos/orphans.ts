import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../support/cluster';
import type { ChaosDatabase } from './chaos-database';
import type { Findings } from './findings';

/** How long workers may take to find what killed ones left: several of their rounds. */
const sweepingMs = 60_000;

const interfaces = /^ifcage(\d+)$/;
/** So far an interface may lie from the slot that its cage asked for. */
const slotTries = 32;

/** Finds what is left of builds when none runs any more: processes, directories, containers, archives, interfaces. */
export class Orphans {
  public constructor(
    private readonly cluster: Cluster,
    private readonly database: ChaosDatabase,
    /** Begins the marks of this run's builds, which their steps have in their environment. */
    private readonly markPrefix: string,
  ) {}

  /** Waits until nothing is left, and reports what stays. */
  public async judge(findings: Findings): Promise<void> {
    let left = await this.find();
    for (const deadline = Date.now() + sweepingMs; left.length > 0 && Date.now() < deadline;) {
      await sleep(1_000);
      left = await this.find();
    }
    for (const each of left) findings.add('orphan', each);
  }

  /** Processes of builds and services of this run that live, its own living services excepted. */
  public processes(): number[] {
    const root = this.cluster.root;
    const own = new Set([...this.cluster.apis, ...this.cluster.workers].map(({ service }) => service.pid));
    return pids().filter((pid) => {
      if (pid === process.pid || own.has(pid)) return false;
      return (
        read(pid, 'cmdline').includes(root) ||
        read(pid, 'mountinfo').includes(root) ||
        [`${root}/`, this.markPrefix].some((text) => read(pid, 'environ').includes(text))
      );
    });
  }

  private async find(): Promise<string[]> {
    return [...this.leftProcesses(), ...this.leftFiles(), ...(await this.leftArchives()), ...leftInterfaces()];
  }

  private leftProcesses(): string[] {
    return this.processes().map((pid) => `process ${pid}: ${read(pid, 'cmdline').replaceAll('\0', ' ').slice(0, 300)}`);
  }

  private leftFiles(): string[] {
    return this.cluster.workers.flatMap(({ dataDir }) => [
      ...['workspaces', 'scratch'].flatMap((name) => entriesOf(path.join(dataDir, name))),
      ...entriesOf(path.join(dataDir, 'engine'))
        .filter(hasContainers)
        .map((storage) => `containers in ${storage}`),
    ]);
  }

  private async leftArchives(): Promise<string[]> {
    const rows = await this.database.sql<{ name: string }>(
      'SELECT image_archive AS name FROM builds WHERE image_archive IS NOT NULL',
    );
    const known = new Set(rows.map(({ name }) => name));
    return entriesOf(this.cluster.artifactDir).filter((file) => isArchive(file) && !known.has(path.basename(file)));
  }
}

/** An archive, or one that was being written when its worker was killed. */
function isArchive(file: string): boolean {
  return file.endsWith('.tar') || file.endsWith('.part');
}

/** Interfaces of the host that belong to no living cage, of this run or of any other. */
function leftInterfaces(): string[] {
  const slots = pids()
    .map((pid) => /\0network\0veth\0(\d+)\0/.exec(read(pid, 'cmdline'))?.[1])
    .filter((slot) => slot !== undefined)
    .map(Number);
  return readdirSync('/sys/class/net').filter((name) => {
    const [, slot] = interfaces.exec(name) ?? [];
    return slot !== undefined && !slots.some((each) => Number(slot) - each >= 0 && Number(slot) - each < slotTries);
  });
}

function hasContainers(storage: string): boolean {
  return entriesOf(storage)
    .filter((directory) => directory.endsWith('-containers'))
    .some((directory) => !['', '[]'].includes(readText(path.join(directory, 'containers.json')).trim()));
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => path.join(directory, name));
  } catch {
    return [];
  }
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A file of proc(5); nothing when the process has ended or is another user's. */
function read(pid: number, name: string): string {
  return readText(`/proc/${pid}/${name}`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
