import { setTimeout as sleep } from 'node:timers/promises';
import { BuildFailure, LimitExceeded } from '../image-builder';
import type { RunResult } from '../process/run-process';
import { ControlGroup, type ExceededLimit, type ResourceLimits } from './control-group';

/** How often the kernel is asked: a step that goes on without what was killed ends soon. */
const lookMs = 500;

/** Puts the processes of commands under limits of memory and number, where this host can. */
export class CageLimits {
  private tried: Promise<string | null> | null = null;
  /** The groups of the commands that run, and the directories in which these may write. */
  private readonly groups = new Map<ControlGroup, readonly string[]>();

  /** @param limits null: what the host has */
  public constructor(private readonly limits: ResourceLimits | null) {}

  /** Why nothing can be limited here; null when it can. The first answer holds for as long as this process runs. */
  public missing(): Promise<string | null> {
    this.tried ??= this.tryGroup();
    return this.tried;
  }

  /**
   * Runs a command that enters a group by these files; the signal ends it once it exceeds a limit.
   * @param directories in which it may write
   * @throws LimitExceeded when it did, also when the command kept that to itself
   * @throws BuildFailure when this host could limit commands before and now cannot
   */
  public async within(
    directories: readonly string[],
    run: (entrances: readonly string[], signal: AbortSignal | undefined) => Promise<RunResult>,
  ): Promise<RunResult> {
    const group = await this.group();
    if (group === null) return run([], undefined);
    const ending = new AbortController();
    this.groups.set(group, directories);
    try {
      void this.watch(group, ending);
      const result = await run(group.entrances, ending.signal);
      const exceeded = await group.exceeded();
      if (exceeded !== null) throw this.failure(exceeded);
      return result;
    } finally {
      ending.abort();
      this.groups.delete(group);
      await group.remove();
    }
  }

  /** The processes of commands that may write in one of these directories. */
  public async pidsOf(directories: readonly string[]): Promise<number[]> {
    const groups = [...this.groups].filter(([, written]) => written.some((each) => directories.includes(each)));
    return (await Promise.all(groups.map(([group]) => group.pids()))).flat();
  }

  private async group(): Promise<ControlGroup | null> {
    if (this.limits === null || (await this.missing()) !== null) return null;
    try {
      return await ControlGroup.make(this.limits);
    } catch (cause) {
      throw new BuildFailure(`The worker cannot limit memory and processes any more: ${messageOf(cause)}`, { cause });
    }
  }

  private async tryGroup(): Promise<string | null> {
    if (this.limits === null) return null;
    try {
      await (await ControlGroup.make(this.limits)).remove();
      return null;
    } catch (error) {
      return `Builds have no limit of memory and processes: ${messageOf(error)}.`;
    }
  }

  private async watch(group: ControlGroup, ending: AbortController): Promise<void> {
    while (!ending.signal.aborted) {
      const exceeded = await group.exceeded();
      if (exceeded !== null) ending.abort(this.failure(exceeded));
      await sleep(lookMs, undefined, { ref: false, signal: ending.signal }).catch(() => undefined);
    }
  }

  private failure(exceeded: ExceededLimit): LimitExceeded {
    const { memoryMb = 0, pids = 0 } = this.limits ?? {};
    return new LimitExceeded(
      exceeded === 'memory'
        ? `The build used more than its limit of ${memoryMb} MB of memory (BUILD_MEMORY_MB)`
        : `The build started more than its limit of ${pids} processes (BUILD_PIDS)`,
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
