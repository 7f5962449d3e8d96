/** This writer may write no more: its lease was taken over, or the log was closed or deleted. */
export class LeaseLost extends Error {
  public override readonly name = 'LeaseLost';

  public constructor(buildId: string) {
    super(`The log of build ${buildId} has another writer or is closed`);
  }
}
