import { readFileSync } from 'node:fs';

/** Of Linux, whatever the machine (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

/** Work that was done: how many operations, and how many of them a second. */
export interface Work {
  readonly operations: number;
  readonly rate: number;
}

/** The CPU time that one process uses for work that others ask of it. */
export class CpuMeter {
  private ms = 0;
  private operations = 0;

  public constructor(private readonly pid: number) {}

  /** Of all work so far. */
  public get msPerOperation(): number {
    return this.ms / this.operations;
  }

  /** Does the work and returns its rate. */
  public async during(work: () => Promise<Work>): Promise<number> {
    const before = cpuMsOf(this.pid);
    const { operations, rate } = await work();
    this.ms += cpuMsOf(this.pid) - before;
    this.operations += operations;
    return rate;
  }
}

/** The CPU time that a process has used so far, in milliseconds (proc(5), `stat`, fields 14 and 15). */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name stands in parentheses and may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}
