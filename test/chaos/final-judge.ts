import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosDatabase } from './chaos-database';
import type { Findings } from './findings';
import type { Ledger, LedgerEntry } from './ledger';
import { StoredLog } from './stored-log';

/** How long the janitor, which comes each ten seconds, may take to purge what was deleted last. */
const purgingMs = 60_000;

interface Row {
  readonly id: string;
  readonly status: string;
  readonly deleted: boolean;
  readonly leased: boolean;
  readonly open: boolean;
}

/** Holds all that is stored at the end against all that was acknowledged. */
export class FinalJudge {
  public constructor(
    private readonly database: ChaosDatabase,
    private readonly ledger: Ledger,
    private readonly findings: Findings,
    private readonly artifactDir: string,
  ) {}

  public async judge(): Promise<void> {
    await this.purged();
    const rows = await this.rows();
    for (const row of rows) this.judgeRow(row);
    const present = new Set(rows.map(({ id }) => id));
    for (const entry of this.ledger.entries.values()) {
      if (entry.deleted === 'yes' || present.has(entry.id)) continue;
      this.findings.add('lost', `build ${entry.id} was acknowledged and is not in the database`, entry.id);
    }
    await this.judgeLogs();
    await this.judgeNumbers();
    await this.judgeArchives();
  }

  /** Waits until nothing is left of what was deleted. */
  private async purged(): Promise<void> {
    const deadline = Date.now() + purgingMs;
    for (;;) {
      const [left] = await this.database.sql<{ builds: number }>(
        `SELECT count(*)::int AS builds FROM build_logs l FULL JOIN builds b ON b.id = l.build_id
         WHERE l.deleted_at IS NOT NULL OR b.deleted_at IS NOT NULL OR b.id IS NULL OR l.build_id IS NULL`,
      );
      if (left?.builds === 0) return;
      if (Date.now() > deadline) {
        this.findings.add('orphan', `${left?.builds ?? 'some'} deleted builds were not purged within ${purgingMs} ms`);
        return;
      }
      await sleep(500);
    }
  }

  private rows(): Promise<Row[]> {
    return this.database.sql<Row>(
      `SELECT id, status, b.deleted_at IS NOT NULL AS deleted, lease_token IS NOT NULL AS leased,
              closed_at IS NULL AS open
       FROM builds b JOIN build_logs l ON l.build_id = b.id`,
    );
  }

  private judgeRow({ id, status, deleted, leased, open }: Row): void {
    const entry = this.ledger.entries.get(id);
    if (entry === undefined) {
      this.findings.add('doubled', `build ${id} is in the database, and no client was told of it`, id);
      return;
    }
    const add = (kind: 'lost' | 'stuck' | 'wrong', text: string): void => {
      this.findings.add(kind, `build ${id} (${entry.recipe.name}): ${text}`, id);
    };
    if (deleted) return;
    if (entry.deleted === 'yes') add('lost', 'its deletion was acknowledged, and it is still there');
    if (leased) add('stuck', `it is ${status}, and a worker still holds it`);
    if (status === 'in_progress') add('stuck', 'it is still in progress');
    if (status === 'queued' && entry.started === 'yes') add('lost', 'its start was acknowledged, and it is queued');
    if (status !== 'queued' && status !== 'in_progress' && open) add('stuck', `it is ${status}, and its log is open`);
    if (entry.sealed !== null && entry.sealed.status !== status) {
      add('wrong', `it had ended as ${entry.sealed.status}, and is ${status} now`);
    }
  }

  /** What was sealed is still the same, however the janitor has cut it since. */
  private async judgeLogs(): Promise<void> {
    for (const { id, sealed, deleted } of this.ledger.entries.values()) {
      if (sealed === null || deleted !== 'no') continue;
      const log = await StoredLog.read(this.database, id);
      const fault = log.fault(sealed.lines);
      if (fault !== null) this.findings.add(fault.kind, `build ${id}, at the end: ${fault.text}`, id);
      else if (log.digest !== sealed.digest) this.findings.add('wrong', `build ${id}: its log was changed`, id);
    }
  }

  /** Each project has numbered just the builds that its clients know, and counts them as they are. */
  private async judgeNumbers(): Promise<void> {
    const statuses = ['queued', 'in_progress', 'success', 'failed', 'cancelled'];
    const projects = await this.database.sql<{ id: string; last: number; counted: string; there: string }>(
      `SELECT p.id, last_build_number AS last, concat_ws(' ', ${statuses.map((each) => `builds_${each}`).join(', ')}) AS counted,
              concat_ws(' ', ${statuses.map((each) => `count(b.id) FILTER (WHERE b.status = '${each}')`).join(', ')}) AS there
       FROM projects p LEFT JOIN builds b ON b.project_id = p.id AND b.deleted_at IS NULL GROUP BY p.id`,
    );
    for (const { id, last, counted, there } of projects) {
      const known = this.ledger.created.get(id) ?? 0;
      if (last > known) this.findings.add('doubled', `project ${id} made ${last} builds, and clients know ${known}`);
      if (last < known) this.findings.add('lost', `project ${id} made ${last} builds, and clients know ${known}`);
      if (counted !== there) this.findings.add('wrong', `project ${id} counts ${counted}, and has ${there}`);
    }
  }

  private async judgeArchives(): Promise<void> {
    const archives = new Set((await readdir(this.artifactDir)).filter((name) => name.endsWith('.tar')));
    const kept = (entry: LedgerEntry): boolean => entry.deleted === 'no' && entry.sealed?.status === 'success';
    for (const entry of this.ledger.entries.values()) {
      if (kept(entry) && !archives.has(`${entry.id}.tar`)) {
        this.findings.add('lost', `build ${entry.id} succeeded, and its image is not there`, entry.id);
      }
    }
  }
}
