import type { ChaosOptions } from './options';
import { type Findings, findingKinds } from './findings';
import type { Ledger } from './ledger';
import type { Mayhem } from './mayhem';

/** Says what was done and what was found. */
export class Report {
  public constructor(
    private readonly options: ChaosOptions,
    private readonly ledger: Ledger,
    private readonly mayhem: Mayhem,
    private readonly findings: Findings,
  ) {}

  /** One line for a run that goes on. */
  public progress(seconds: number): string {
    const { kills, replaced, paused, restarts, freezes } = this.mayhem;
    const ended = this.ledger.countWhere(({ sealed }) => sealed !== null);
    return [
      `${String(Math.round(seconds)).padStart(4)} s`,
      `${this.ledger.entries.size} builds, ${ended} ended`,
      `${this.ledger.linesFollowed} lines followed`,
      `${kills.api + kills.worker} kills, ${replaced.api + replaced.worker} replaced, ${paused} paused`,
      `database ${restarts} restarts, ${freezes} freezes`,
      `${this.findings.list.length} findings`,
    ].join(' · ');
  }

  /** The table at the end. */
  public table(seconds: number): string {
    const { kills, replaced, paused, restarts, freezes } = this.mayhem;
    const count = this.ledger.countWhere.bind(this.ledger);
    const ended = (status: string): number => count(({ sealed }) => sealed?.status === status);
    const rows: [string, number | string][] = [
      ['seed', this.options.seed],
      ['minutes of chaos', this.options.minutes],
      ['seconds in all', Math.round(seconds)],
      ['builds created', this.ledger.entries.size],
      ['builds started', count(({ started }) => started === 'yes')],
      ['builds retried', count(({ retryOf }) => retryOf !== null)],
      ['builds ended', count(({ sealed, deleted }) => sealed !== null || deleted === 'yes')],
      ['builds succeeded', ended('success')],
      ['builds failed', ended('failed')],
      ['of them by a lost worker', count(({ sealed }) => sealed?.message === 'worker lost')],
      ['of them by a shutdown', count(({ sealed }) => sealed?.message === 'worker shut down')],
      ['builds cancelled', ended('cancelled')],
      ['builds deleted', count(({ deleted }) => deleted === 'yes')],
      ['lines stored', this.ledger.linesStored],
      ['lines followed', this.ledger.linesFollowed],
      ['streams resumed', this.ledger.resumed],
      ['requests repeated', this.ledger.repeated],
      ['kills of an API', kills.api],
      ['kills of a worker', kills.worker],
      ['replacements of an API', replaced.api],
      ['replacements of a worker', replaced.worker],
      ['workers paused', paused],
      ['database restarts', restarts],
      ['database freezes', freezes],
      ...findingKinds.map((kind): [string, number] => [kind, this.findings.count(kind)]),
    ];
    return rows.map(([name, value]) => `${name.padEnd(26)}${String(value).padStart(12)}`).join('\n');
  }
}
