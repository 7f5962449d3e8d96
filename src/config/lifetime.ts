/** What a process knows of its own end: that it was told to stop, that it was told so again, what it had to leave undone. */
export class Lifetime {
  private readonly stopping = new AbortController();
  private readonly hurrying = new AbortController();
  private readonly undone: string[] = [];

  /** Aborted when the process is told to stop: nothing new is begun here, and what was begun comes to its end. */
  public get stop(): AbortSignal {
    return this.stopping.signal;
  }

  /** Aborted when it is told so again: whatever is being waited for is over. */
  public get hurry(): AbortSignal {
    return this.hurrying.signal;
  }

  /** What could not be ended in time, a sentence each. */
  public get leftUndone(): readonly string[] {
    return this.undone;
  }

  /** Tells the process to stop, and at the next time to stop waiting. */
  public end(): void {
    if (this.stop.aborted) this.hurrying.abort(new Error('it was told to stop at once'));
    else this.stopping.abort(new Error('it was told to stop'));
  }

  public leaveUndone(what: string): void {
    this.undone.push(what);
  }
}
