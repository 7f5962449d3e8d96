/** What a run may find, by what it would mean to whoever relies on the service. */
export const findingKinds = ['lost', 'doubled', 'reordered', 'stuck', 'orphan', 'wrong'] as const;

export type FindingKind = (typeof findingKinds)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** One line that says what was found, and what would have been right. */
  readonly text: string;
  readonly buildId: string | null;
}

/** All that went wrong. The first one ends the run. */
export class Findings {
  public readonly list: Finding[] = [];
  private readonly first = new AbortController();

  /** Aborted by the first finding. */
  public get signal(): AbortSignal {
    return this.first.signal;
  }

  public add(kind: FindingKind, text: string, buildId: string | null = null): void {
    this.list.push({ kind, text, buildId });
    this.first.abort(new Error('Something was found.'));
  }

  public count(kind: FindingKind): number {
    return this.list.filter((finding) => finding.kind === kind).length;
  }
}
