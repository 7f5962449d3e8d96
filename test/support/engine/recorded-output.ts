import type { LogLevel } from '../../../src/build-logs/log-entry';
import type { BuildOutput } from '../../../src/execution/image-builder';

export interface RecordedLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly step: string;
}

/** Keeps what a build reports, and lets a test wait for a line. */
export class RecordedOutput implements BuildOutput {
  public readonly lines: RecordedLine[] = [];
  public readonly done: number[] = [];
  public total = 0;
  private waiting: { readonly text: string; readonly resolve: () => void }[] = [];

  public line(level: LogLevel, message: string, step: string): void {
    this.lines.push({ level, message, step });
    this.waiting = this.waiting.filter(({ text, resolve }) => {
      if (!message.includes(text)) return true;
      resolve();
      return false;
    });
  }

  public stepsTotal(total: number): void {
    this.total = total;
  }

  public stepsDone(done: number): void {
    this.done.push(done);
  }

  /** Resolves with the next line that contains the text. */
  public next(text: string): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ text, resolve }));
  }

  /** The messages of one step, or of all. */
  public messages(step?: string): string[] {
    return this.lines.filter((line) => step === undefined || line.step === step).map(({ message }) => message);
  }
}
