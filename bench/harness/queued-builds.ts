import { randomUUID } from 'node:crypto';
import type { Installation } from './installation';

const projects = 20;

/** Queued builds of a tenant, put into the store past the product; the triggers number and count them. */
export async function queuedBuilds({ postgres, tenant }: Installation, builds: number): Promise<string[]> {
  const made = await Promise.all(
    Array.from({ length: projects }, () => tenant.project({ repository_url: 'https://git.example.com/a.git' })),
  );
  const ids = Array.from({ length: builds }, () => randomUUID());
  await postgres.sql('INSERT INTO build_logs (build_id, tenant_id) SELECT id, $2 FROM unnest($1::uuid[]) id', [
    ids,
    tenant.id,
  ]);
  await postgres.sql(
    `INSERT INTO builds (id, tenant_id, project_id, build_number, git_branch)
     SELECT id, $2, ($3::uuid[])[number % $4 + 1], 1, 'main' FROM unnest($1::uuid[]) WITH ORDINALITY ids (id, number)`,
    [ids, tenant.id, made.map(({ id }) => id), projects],
  );
  return ids;
}
