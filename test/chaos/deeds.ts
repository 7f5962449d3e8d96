/** What was done to a worker or to the database, and when; ms since the epoch. */
interface Deed {
  readonly kind: 'kill' | 'replace' | 'pause' | 'database';
  /** The worker; null: the database. */
  readonly pid: number | null;
  readonly from: number;
  until: number;
}

/** A build that a worker did not bring to its end. */
interface Victimised {
  /** `host:pid:…`, as the worker calls itself. */
  readonly worker_id: string | null;
  readonly claimed_at: Date | null;
  readonly completed_at: Date | null;
}

/** A lease that could not be renewed while the database was away may run out some time after it is back. */
const aftermathMs = 10_000;

/** All that was done, to tell whether what became of a build comes from it. */
export class Deeds {
  private readonly list: Deed[] = [];

  /** Notes that it begins; the returned function notes its end. */
  public begin(kind: Deed['kind'], pid: number | null): () => void {
    const deed: Deed = { kind, pid, from: Date.now(), until: Number.POSITIVE_INFINITY };
    this.list.push(deed);
    return () => {
      deed.until = Date.now();
    };
  }

  /** Whether this worker, or the database, had suffered while the build was with it. */
  public explain(message: string, build: Victimised): boolean {
    const suffered = (kinds: readonly Deed['kind'][]): boolean => this.overlap(kinds, build);
    if (message === 'worker shut down') return suffered(['replace']);
    return message === 'worker lost' && suffered(['kill', 'replace', 'pause', 'database']);
  }

  private overlap(
    kinds: readonly Deed['kind'][],
    { worker_id: worker, claimed_at, completed_at }: Victimised,
  ): boolean {
    const pid = Number(worker?.split(':')[1]);
    const [begun, ended] = [claimed_at?.getTime() ?? 0, completed_at?.getTime() ?? Number.POSITIVE_INFINITY];
    return this.list.some(
      (deed) =>
        kinds.includes(deed.kind) &&
        (deed.pid === null || deed.pid === pid) &&
        deed.from <= ended &&
        deed.until + aftermathMs >= begun,
    );
  }
}
