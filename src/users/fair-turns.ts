/** How much may go on, and how much may wait. */
export interface TurnLimits {
  readonly running: number;
  /** Of one party, waiting and running. */
  readonly ofEach: number;
  /** Of all parties, waiting and running. */
  readonly ofAll: number;
}

interface Party {
  /** Waiting and running. */
  present: number;
  readonly waiting: (() => void)[];
}

/**
 * Turns at scarce work that the parties take one after another: who comes alone waits for one turn of each of the others,
 * however many of theirs wait.
 */
export class FairTurns {
  /** In the order in which the parties' next turns come. */
  private readonly parties = new Map<string, Party>();
  private running = 0;
  private present = 0;

  public constructor(private readonly limits: TurnLimits) {}

  /** Whether one more of the party may wait. */
  public hasPlaceFor(party: string): boolean {
    const ofParty = this.parties.get(party)?.present ?? 0;
    return ofParty < this.limits.ofEach && this.present < this.limits.ofAll;
  }

  /** Does the work when the party's turn comes. */
  public async take<T>(party: string, work: () => Promise<T>): Promise<T> {
    const { waiting } = this.enter(party);
    if (this.running < this.limits.running) this.running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.leave(party);
      this.passOn();
    }
  }

  private enter(name: string): Party {
    const party = this.parties.get(name) ?? { present: 0, waiting: [] };
    this.parties.set(name, party);
    party.present += 1;
    this.present += 1;
    return party;
  }

  private leave(name: string): void {
    const party = this.parties.get(name);
    if (party === undefined) return;
    party.present -= 1;
    this.present -= 1;
    if (party.present === 0) this.parties.delete(name);
  }

  /** Hands a turn that became free to the party whose last one is longest ago. */
  private passOn(): void {
    for (const [name, party] of this.parties) {
      const next = party.waiting.shift();
      if (next === undefined) continue;
      this.parties.delete(name);
      this.parties.set(name, party);
      next();
      return;
    }
    this.running -= 1;
  }
}
