import type { ResumingFollower } from '../support/resuming-follower';
import type { Recipe } from './recipes';

/** A write as its client knows it: not asked, asked without an answer, or acknowledged. */
export type Acknowledgement = 'no' | 'asked' | 'yes';

/** What the clients know of one build, and what must therefore hold. */
export interface LedgerEntry {
  readonly id: string;
  readonly tenantId: string;
  readonly projectId: string;
  readonly mark: string;
  readonly recipe: Recipe;
  readonly retryOf: string | null;
  started: Acknowledgement;
  cancelled: Acknowledgement;
  deleted: Acknowledgement;
  readonly followers: ResumingFollower[];
  /** The log as it was when the build had ended: it must never change. */
  sealed: {
    readonly digest: string;
    readonly status: string;
    readonly message: string | null;
    readonly lines: number;
  } | null;
}

/** Everything that clients had acknowledged. */
export class Ledger {
  public readonly entries = new Map<string, LedgerEntry>();
  /** Builds that each project must have numbered. */
  public readonly created = new Map<string, number>();
  /** Of builds that had ended. */
  public linesStored = 0;
  public linesFollowed = 0;
  /** Streams that broke and went on elsewhere. */
  public resumed = 0;
  /** Requests that were sent again. */
  public repeated = 0;

  /** A build of which a client was told for the first time. */
  public add(build: Pick<LedgerEntry, 'id' | 'tenantId' | 'projectId' | 'mark' | 'recipe' | 'retryOf'>): LedgerEntry {
    const entry: LedgerEntry = {
      ...build,
      started: 'no',
      cancelled: 'no',
      deleted: 'no',
      followers: [],
      sealed: null,
    };
    this.entries.set(entry.id, entry);
    this.created.set(entry.projectId, (this.created.get(entry.projectId) ?? 0) + 1);
    return entry;
  }

  /** Ends what still follows a build. */
  public stopFollowers(): void {
    for (const { followers } of this.entries.values()) for (const follower of followers) follower.stop();
  }

  public countWhere(holds: (entry: LedgerEntry) => boolean): number {
    return [...this.entries.values()].filter(holds).length;
  }
}
