import { type BuildStatus, transitions } from '../../../src/builds/build-state';

/** Who asks the database past the service. */
export interface Asker {
  sql<Row extends object>(statement: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** One change of a build's row, as the database made it. */
interface Change {
  readonly build_id: string;
  readonly build_number: number;
  readonly old_status: BuildStatus | null;
  readonly new_status: BuildStatus;
  readonly was_deleted: boolean;
  readonly is_deleted: boolean;
  readonly old_token: string | null;
  readonly new_token: string | null;
}

/** Lets the database write down every change of a build from now on; the row's lock keeps those of a build in order. */
export async function installAudit(asker: Asker): Promise<void> {
  await asker.sql(`
    CREATE TABLE audit (
      seq bigserial PRIMARY KEY, project_id uuid, build_id uuid, build_number integer, old_status text, new_status text,
      was_deleted boolean, is_deleted boolean, old_token uuid, new_token uuid
    );
    CREATE FUNCTION audit_build() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO audit (project_id, build_id, build_number, old_status, new_status, was_deleted, is_deleted, old_token, new_token)
      VALUES (NEW.project_id, NEW.id, NEW.build_number, OLD.status, NEW.status, OLD.deleted_at IS NOT NULL,
              NEW.deleted_at IS NOT NULL, OLD.lease_token, NEW.lease_token);
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit_build AFTER INSERT OR UPDATE ON builds FOR EACH ROW EXECUTE FUNCTION audit_build();
  `);
}

const steps = new Set<string>(Object.values(transitions).map(({ from, to }) => `${from} ${to}`));

/** What is wrong with the ways that the builds of a project took; nothing, if all is well. */
export async function faultsOfWays(asker: Asker, projectId: string): Promise<string[]> {
  const changes = await asker.sql<Change>('SELECT * FROM audit WHERE project_id = $1 ORDER BY seq', [projectId]);
  const faults = changes.flatMap((change) => faultsOf(change).map((fault) => `${change.build_number}: ${fault}`));

  const born = changes.filter(({ old_status }) => old_status === null);
  const numbers = born.map(({ build_number }) => build_number);
  if (numbers.join() !== born.map((_, index) => index + 1).join()) faults.push(`numbered ${numbers.join()}`);
  for (const { build_id, build_number } of born) {
    const own = changes.filter((change) => change.build_id === build_id);
    const ends = own.filter(({ old_status, new_status }) => old_status === 'in_progress' && new_status !== old_status);
    if (ends.length > 1) faults.push(`${build_number}: ended ${ends.length} times`);
    const leases = own.filter(({ old_token, new_token }) => new_token !== null && new_token !== old_token);
    if (leases.length > 1) faults.push(`${build_number}: claimed ${leases.length} times`);
  }
  return faults;
}

function faultsOf(change: Change): string[] {
  const { old_status, new_status, was_deleted, is_deleted, old_token, new_token } = change;
  if (old_status === null) return new_status === 'queued' ? [] : [`made as ${new_status}`];
  const faults: string[] = [];
  if (old_status !== new_status && !steps.has(`${old_status} ${new_status}`))
    faults.push(`went from ${old_status} to ${new_status}`);
  if (was_deleted && !is_deleted) faults.push('came back');
  if (was_deleted && old_status !== new_status) faults.push(`became ${new_status} after it was deleted`);
  if (old_token !== null && new_token !== null && old_token !== new_token) faults.push('was claimed under a lease');
  if (old_token === null && new_token !== null && new_status !== 'in_progress')
    faults.push(`was claimed when ${new_status}`);
  if (new_token !== null && (new_status === 'success' || new_status === 'failed'))
    faults.push(`is ${new_status} under a lease`);
  return faults;
}

/** What is wrong with a project at rest: no client, worker or reaper has anything left to do but to start and to claim. */
export async function faultsAtRest(asker: Asker, projectId: string): Promise<string[]> {
  const builds = await asker.sql<{ build_number: number; fault: string }>(restSql, [projectId]);
  const counters = await asker.sql<{ fault: string }>(countersSql, [projectId]);
  return [...builds.map(({ build_number, fault }) => `${build_number}: ${fault}`), ...counters.map((row) => row.fault)];
}

const restSql = `
  WITH log AS (
    SELECT b.build_number, b.status, b.lease_token, b.claimed_at, b.image_archive, l.*,
      (SELECT coalesce(sum(line_count), 0) FROM build_log_chunks c WHERE c.build_id = b.id) AS lines,
      (SELECT count(*) FROM (
         SELECT first_line, coalesce(sum(line_count) OVER (
           ORDER BY first_line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS expected
         FROM build_log_chunks c WHERE c.build_id = b.id
       ) chunk WHERE first_line <> expected) AS misplaced
    FROM builds b LEFT JOIN build_logs l ON l.build_id = b.id
    WHERE b.project_id = $1 AND b.deleted_at IS NULL
  )
  SELECT build_number, fault FROM log CROSS JOIN LATERAL (VALUES
    (build_id IS NULL, 'has no log'),
    (lease_token IS NOT NULL, 'is still leased'),
    (status = 'in_progress' AND claimed_at IS NOT NULL, 'is stuck in progress'),
    ((status IN ('queued', 'in_progress')) <> (closed_at IS NULL), 'its log does not end with it'),
    (closed_at IS NOT NULL AND outcome IS DISTINCT FROM status, 'its log says that it ended otherwise'),
    (writer_token IS NOT NULL AND closed_at IS NOT NULL, 'its closed log has a writer'),
    ((status = 'success') <> (image_archive IS NOT NULL), 'has an image without success, or none with it'),
    (total_lines <> lines OR misplaced > 0, 'its lines are not numbered in order')
  ) AS checks (is_so, fault) WHERE is_so`;

const countersSql = `
  SELECT format('counts %s, but has %s', counted, there) AS fault FROM (
    SELECT ARRAY[builds_queued, builds_in_progress, builds_success, builds_failed, builds_cancelled]::bigint[] AS counted,
      ARRAY(SELECT (SELECT count(*) FROM builds b WHERE project_id = p.id AND deleted_at IS NULL AND status = s)
            FROM unnest(ARRAY['queued', 'in_progress', 'success', 'failed', 'cancelled']) WITH ORDINALITY AS each (s, i)
            ORDER BY i) AS there
    FROM projects p WHERE id = $1
  ) counters WHERE counted <> there`;

/** Finds nothing wrong with a project at rest, nor with how its builds came there. */
export async function expectSound(asker: Asker, { id }: { readonly id: string }): Promise<void> {
  expect(await faultsOfWays(asker, id)).toEqual([]);
  expect(await faultsAtRest(asker, id)).toEqual([]);
}
