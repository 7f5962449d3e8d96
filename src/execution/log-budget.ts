import { BuildFailure } from './image-builder';

/** What a line takes in the store beside its text. */
const lineBytes = 100;

/** How much one build may print. What exceeds it ends the build, whose last line then says why nothing follows. */
export class LogBudget {
  private spent = 0;

  public constructor(
    private readonly most: number,
    private readonly stop: (reason: Error) => void,
  ) {}

  /** Whether the line is within the limit. */
  public spend(text: string): boolean {
    if (this.spent > this.most) return false;
    this.spent += Buffer.byteLength(text) + lineBytes;
    if (this.spent <= this.most) return true;
    this.stop(new BuildFailure(`The log exceeded its limit of ${this.most} bytes (MAX_LOG_BYTES)`));
    return false;
  }
}
