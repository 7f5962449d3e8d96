import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildStatusDto } from '../../src/build-status/build-status.dto';
import { type BuildStatus, transitions } from '../../src/builds/build-state';
import type { Findings } from './findings';
import type { PatientCaller } from './patient-caller';

const isEnd = (status: BuildStatus): boolean => status !== 'queued' && status !== 'in_progress';

/** Polls the status of a build, and sees that it only ever goes forward. */
export class StatusWatch {
  private status: BuildStatus = 'queued';
  private step = 0;

  public constructor(
    private readonly buildId: string,
    private readonly caller: PatientCaller,
    private readonly findings: Findings,
  ) {}

  /** Polls until the build has ended; null when it is gone. */
  public async ended(pauseMs: number, signal: AbortSignal): Promise<BuildStatus | null> {
    for (;;) {
      const status = await this.look();
      if (status === null || isEnd(status)) return status;
      await sleep(pauseMs, undefined, { signal });
    }
  }

  /** The status now; null when the build is gone. */
  public async look(): Promise<BuildStatus | null> {
    const { answer } = await this.caller.get<BuildStatusDto>(`/builds/${this.buildId}/status`);
    if (answer.status === 404) return null;
    const { status, progress } = answer.expect(200);
    if (status !== this.status && !this.mayFollow(status)) this.add(`it was ${this.status}, and is ${status}`);
    const step = progress?.current_step ?? 0;
    if (step < this.step) this.add(`its progress fell from ${this.step} to ${step}`);
    this.status = status;
    this.step = step;
    return status;
  }

  /** Between two looks a build may have been started and ended. */
  private mayFollow(next: BuildStatus): boolean {
    if (this.status === 'queued') return true;
    return Object.values(transitions).some(({ from, to }) => from === this.status && to === next);
  }

  private add(text: string): void {
    this.findings.add('wrong', `build ${this.buildId}: ${text}`, this.buildId);
  }
}
