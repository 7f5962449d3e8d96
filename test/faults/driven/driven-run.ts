import type { Claim } from '../../../src/execution/build-queue.repository';
import type { Run } from '../../../src/execution/build-runner';
import { waitUntil } from '../../support/wait-until';
import { type DrivenBuild, ownFailure, type OwnEnd } from './driven-engine';

/** How a worker's run of a build came to its end: `gone` is one that had nothing to say any more. */
export type RunEnd = OwnEnd | 'stopped' | 'gone';

/** Lines of a worker that the store has acknowledged. */
export interface Stored {
  readonly firstLine: number;
  readonly lines: readonly string[];
  /** They closed the log. */
  readonly ended: boolean;
}

/** The last line of the log that a run closed. */
export const lastLines: Readonly<Record<Exclude<RunEnd, 'gone'>, RegExp>> = {
  success: /^Build succeeded: /,
  failed: new RegExp(`^Build failed: ${ownFailure}$`),
  stopped: /^Build stopped$/,
};

/** A build that the driven worker has claimed. */
export class DrivenRun {
  private isEnded = false;

  public constructor(
    public readonly claim: Claim,
    private readonly run: Run,
    private readonly engine: DrivenBuild | null,
    /** All that the store acknowledged so far, in the order of the acknowledgements. */
    public readonly stored: readonly Stored[],
  ) {
    void run.ended.then(() => {
      this.isEnded = true;
    });
  }

  public get id(): string {
    return this.claim.id;
  }

  public get hasEnded(): boolean {
    return this.isEnded;
  }

  public get ended(): Promise<void> {
    return this.run.ended;
  }

  /** The worker has told the engine to stop, or has nothing to do any more. */
  public get isOver(): boolean {
    return this.isEnded || (this.engine?.signal.aborted ?? true);
  }

  /** Resolves when the engine's part is over: what follows is the record. */
  public async settled(): Promise<void> {
    await this.engine?.answer.catch(() => undefined);
  }

  /** Of a run that has ended. */
  public get end(): RunEnd {
    const last = this.stored.find(({ ended }) => ended)?.lines.at(-1);
    if (last === undefined) return 'gone';
    const ends = Object.entries(lastLines).find(([, pattern]) => pattern.test(last));
    if (ends === undefined) throw new Error(`No run ends with the line "${last}"`);
    return ends[0] as keyof typeof lastLines;
  }

  /** Prints lines; resolves when the store took them, or when the worker knows that it never will. */
  public async write(...messages: readonly string[]): Promise<void> {
    for (const message of messages) await this.engine?.line(message);
    await waitUntil(() => this.hasEnded || messages.every((message) => this.hasStored(message)));
  }

  /** The engine's process ends; resolves when the worker has recorded it, or has found that it may not. */
  public async finish(how: OwnEnd): Promise<RunEnd> {
    await this.engine?.end(how);
    await this.ended;
    return this.end;
  }

  /** Looks whether the build was withdrawn or lost, as a worker does when it is woken. */
  public check(): Promise<void> {
    return this.run.check();
  }

  private hasStored(message: string): boolean {
    return this.stored.some(({ lines }) => lines.includes(message));
  }
}
