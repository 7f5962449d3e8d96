import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../config/error-code';

const pollMs = 50;

/**
 * How long a killed process may take to vanish (the kernel may have to finish a write) before it counts as unkillable.
 */
const vanishMs = 30_000;

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly startTime: string;
}

function readProcess(pid: number): ProcessEntry | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // proc(5): the name stands in parentheses and may contain anything, so the fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent, group, session] = fields;
  if (state === 'Z' || state === 'X') return null;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), startTime: fields[19] ?? '' };
}

function readProcesses(): ProcessEntry[] | null {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return null;
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((entry) => entry !== null);
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

/**
 * A process that leads a session of its own, and all that descends from it. A process belongs to the tree while it is
 * in the session, even when its parent is gone, or when it was seen as a descendant, even when it has left the session
 * since. One that left the session and lost its parent between two looks is not found: only a PID namespace can end
 * such a one. Without /proc the tree is the leader's process group.
 */
export class ProcessTree {
  /** The start time of each process that was seen, so that a reused pid is not taken for it. */
  private readonly seen = new Map<number, string>();

  public constructor(private readonly leader: number) {
    this.look();
  }

  /**
   * TERM, then KILL to what is left; returns once nothing of the tree lives.
   * @throws Error when a process outlives KILL by half a minute (it waits in the kernel, or is another user's).
   */
  public async end(killAfterMs: number): Promise<void> {
    const started = performance.now();
    let alive = this.look();
    if (alive.length > 0) this.signal(alive, 'SIGTERM');
    while (alive.length > 0) {
      const elapsed = performance.now() - started;
      if (elapsed >= killAfterMs + vanishMs) {
        throw new Error(`Processes outlive SIGKILL: ${alive.map(({ pid }) => pid).join(', ')}.`);
      }
      if (elapsed >= killAfterMs) this.signal(alive, 'SIGKILL');
      await sleep(pollMs);
      alive = this.look();
    }
  }

  /** The living processes of the tree. */
  private look(): ProcessEntry[] {
    const all = readProcesses();
    if (all === null) {
      const { leader } = this;
      const entry = { pid: leader, parent: 0, group: leader, session: leader, startTime: '' };
      return send(-leader, 0) ? [entry] : [];
    }
    const children = new Map<number, ProcessEntry[]>();
    for (const entry of all) children.set(entry.parent, [...(children.get(entry.parent) ?? []), entry]);

    // When the leader's pid names another process now, so does its session.
    const stranger = all.some(({ pid, startTime }) => pid === this.leader && !this.isSeen(pid, startTime));
    const members = new Map<number, ProcessEntry>();
    const add = (entry: ProcessEntry): void => {
      if (members.has(entry.pid)) return;
      members.set(entry.pid, entry);
      this.seen.set(entry.pid, entry.startTime);
      children.get(entry.pid)?.forEach(add);
    };
    for (const entry of all) {
      const inSession = entry.session === this.leader && !stranger;
      if (inSession || this.seen.get(entry.pid) === entry.startTime) add(entry);
    }
    return [...members.values()];
  }

  /** The first process that is seen under the leader's pid is the leader. */
  private isSeen(pid: number, startTime: string): boolean {
    return !this.seen.has(pid) || this.seen.get(pid) === startTime;
  }

  /** One signal for each process: to the group as a whole, and to those outside of it. */
  private signal(entries: readonly ProcessEntry[], signal: NodeJS.Signals): void {
    if (entries.some(({ group }) => group === this.leader)) send(-this.leader, signal);
    for (const { pid, group } of entries) if (group !== this.leader) send(pid, signal);
  }
}
