import type { Installation } from './installation';
import { Tenant } from '../../test/support/tenant';

/** Over how many projects the builds of a tenant are spread. */
const projects = 20;
const repository = { repository_url: 'https://git.example.com/team/app.git' };

/** A tenant with this many finished builds, put into the store past the product; its counters are right. */
export async function tenantWithBuilds({ service, postgres }: Installation, builds: number): Promise<Tenant> {
  const tenant = await Tenant.make(service);
  const made = await Promise.all(Array.from({ length: projects }, () => tenant.project(repository)));
  const ids = made.map(({ id }) => id);
  const counters = 'SET last_build_number = $2, builds_success = $2';
  await postgres.sql(`UPDATE projects ${counters} WHERE id = ANY($1)`, [ids, builds / projects]);
  // Without the triggers, which number and count a build each and would take an hour.
  await postgres.sql(
    `WITH quiet AS MATERIALIZED (SELECT set_config('session_replication_role', 'replica', true))
     INSERT INTO builds (tenant_id, project_id, build_number, status, git_branch, commit_verified, created_at, updated_at,
                         started_at, claimed_at, completed_at)
     SELECT $2, ($1::uuid[])[number % $3 + 1], number / $3 + 1, 'success', 'main', true, at, at, at, at, at
     FROM quiet, generate_series(0, $4::int - 1) number, LATERAL (SELECT now() - number * interval '1 second' AS at) times
     -- Between two builds of a tenant lie those of others.
     ORDER BY md5(number::text)`,
    [ids, tenant.id, projects, builds],
  );
  return tenant;
}
