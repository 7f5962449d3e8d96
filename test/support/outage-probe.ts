import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from './caller';

/** One request that was answered, or got none. */
export interface Probe {
  /** When it was sent, by `performance.now()`. */
  readonly sentAt: number;
  readonly tookMs: number;
  /** Null: the connection broke. */
  readonly answer: Answer | null;
}

/** Sends a request, waits for its answer, and sends it again, until it is stopped. Remembers every answer. */
export class OutageProbe {
  public readonly probes: Probe[] = [];
  private isStopping = false;
  private readonly done: Promise<void>;

  /** @param ask sends one request */
  public constructor(private readonly ask: () => Promise<Answer>) {
    this.done = this.run();
  }

  /** The probes that did not get a success. */
  public get failures(): Probe[] {
    return this.probes.filter(({ answer }) => answer === null || answer.status >= 400);
  }

  public async stop(): Promise<void> {
    this.isStopping = true;
    await this.done;
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      const sentAt = performance.now();
      const answer = await this.ask().catch(() => null);
      this.probes.push({ sentAt, tookMs: performance.now() - sentAt, answer });
      await sleep(20);
    }
  }
}

/** Whether a request was refused as it must be while the database cannot serve. */
export function isUnavailable(answer: Answer | null): boolean {
  return (
    answer?.status === 503 &&
    answer.error.code === 'INTERNAL_SERVER_ERROR' &&
    Number(answer.headers.get('Retry-After')) > 0
  );
}
