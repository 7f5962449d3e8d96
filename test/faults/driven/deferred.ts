/** A promise that somebody else settles. */
export class Deferred<Value> {
  public readonly promise: Promise<Value>;
  public resolve: (value: Value) => void = () => undefined;
  public reject: (reason: Error) => void = () => undefined;

  public constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Who waits for it hears of a rejection; that nobody waits yet is no fault.
    this.promise.catch(() => undefined);
  }
}
