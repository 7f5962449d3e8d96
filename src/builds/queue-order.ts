import { transitions } from './build-state';

/**
 * The order of the queue, in one place: the tenant with the fewest running builds comes first; of several, the one of which
 * no build was claimed for the longest time; of those of which none ever was, the one that has waited longest; and of a
 * tenant its oldest build. So a tenant with a long queue keeps no other waiting, however few workers there are.
 *
 * A build waits from its start until a worker claims it. It runs as long as a worker holds its lease, and so a cancelled
 * one counts until its processes are dead. Its _turn_ is how many builds of its tenant come before it: those that run,
 * and the older ones that wait. Builds are claimed by turn as long as no running one ends. Of one turn, those come first
 * whose tenants have more running ones: they wait since a claim of before, and the others were at it a turn ago.
 *
 * All of these are pieces of SQL that read little more of a long queue than they need, by an index for each tenant.
 */

/** The condition that a build waits for a worker. */
export function isWaiting(alias: string): string {
  return `${alias}.status = '${transitions.start.to}' AND ${alias}.claimed_at IS NULL AND ${alias}.deleted_at IS NULL`;
}

/** What orders tenants with as many running builds, as columns of `queues` or of a table like it. */
export function longestWaitingOf(table: string): string {
  return ['last_claimed_at', 'head_started_at', 'head_id'].map((column) => `${table}.${column}`).join(', ');
}

/**
 * For `WITH RECURSIVE`: the table `queues`, which has the `tenant_id` of each tenant with waiting builds, how many of its
 * builds are `running`, when one of them was last claimed, and its oldest waiting one. PostgreSQL knows no other way to
 * skip through an index from tenant to tenant.
 */
export const queuesSql = `
  heads (tenant_id) AS (
    (SELECT w.tenant_id FROM builds w WHERE ${isWaiting('w')} ORDER BY w.tenant_id LIMIT 1)
    UNION ALL
    SELECT (
      SELECT w.tenant_id FROM builds w WHERE ${isWaiting('w')} AND w.tenant_id > heads.tenant_id
      ORDER BY w.tenant_id LIMIT 1
    ) FROM heads WHERE heads.tenant_id IS NOT NULL
  ),
  running AS (
    SELECT r.tenant_id, count(*)::int AS builds FROM builds r WHERE r.lease_token IS NOT NULL GROUP BY r.tenant_id
  ),
  queues AS (
    SELECT heads.tenant_id, coalesce(running.builds, 0) AS running, head.started_at AS head_started_at, head.id AS head_id,
           coalesce((SELECT t.last_claimed_at FROM tenants t WHERE t.id = heads.tenant_id), '-infinity') AS last_claimed_at
    FROM heads LEFT JOIN running USING (tenant_id) CROSS JOIN LATERAL (
      SELECT w.started_at, w.id FROM builds w WHERE w.tenant_id = heads.tenant_id AND ${isWaiting('w')}
      ORDER BY w.started_at, w.id LIMIT 1
    ) head
  )`;

/**
 * The place of a started build, from 1, as a scalar subquery. It need not be visible as a waiting one yet, so that the
 * statement that starts it can ask.
 * @param build the alias of its row outside
 */
export function placeSql(build: string): string {
  const ofTenant = `w.tenant_id = ${build}.tenant_id AND ${isWaiting('w')}`;
  return `(
    WITH RECURSIVE ${queuesSql},
    own AS (
      SELECT older.builds + coalesce(ran.builds, 0) AS turn, coalesce(ran.builds, 0) AS running,
             coalesce(t.last_claimed_at, '-infinity') AS last_claimed_at,
             coalesce(queues.head_started_at, ${build}.started_at) AS head_started_at,
             coalesce(queues.head_id, ${build}.id) AS head_id
      FROM (
        SELECT count(*) AS builds FROM builds w
        WHERE ${ofTenant} AND (w.started_at, w.id) < (${build}.started_at, ${build}.id)
      ) older
      JOIN tenants t ON t.id = ${build}.tenant_id
      LEFT JOIN running ran ON ran.tenant_id = t.id
      LEFT JOIN queues ON queues.tenant_id = t.id
    )
    SELECT 1 + coalesce(sum(earlier.builds), 0)::int FROM own CROSS JOIN queues CROSS JOIN LATERAL (
      SELECT count(*) AS builds FROM (
        SELECT queues.running + row_number() OVER (ORDER BY w.started_at, w.id) - 1 AS turn
        FROM builds w WHERE w.tenant_id = queues.tenant_id AND ${isWaiting('w')}
        ORDER BY w.started_at, w.id LIMIT greatest(own.turn - queues.running + 1, 0)
      ) other
      WHERE (other.turn, -queues.running, ${longestWaitingOf('queues')}) < (own.turn, -own.running, ${longestWaitingOf('own')})
    ) earlier
  )`;
}
