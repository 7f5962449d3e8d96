import type { BuildQueueRepository, Claim, Progress } from './build-queue.repository';

/** Stores how far a build is: the latest state, one write at a time. A write that fails is made up by the next one. */
export class ProgressWriter {
  private progress: Progress = { stepsDone: 0, stepsTotal: 0 };
  private stored = this.progress;
  private storing: Promise<void> | undefined;

  public constructor(
    private readonly queue: BuildQueueRepository,
    private readonly claim: Claim,
  ) {}

  public get current(): Progress {
    return this.progress;
  }

  public update(change: Partial<Progress>): void {
    this.progress = { ...this.progress, ...change };
    this.storing ??= this.store().finally(() => {
      this.storing = undefined;
    });
  }

  private async store(): Promise<void> {
    while (this.stored !== this.progress) {
      const latest = this.progress;
      try {
        await this.queue.saveProgress(this.claim, latest);
        this.stored = latest;
      } catch {
        // The final write of the build carries the progress as well.
        return;
      }
    }
  }
}
