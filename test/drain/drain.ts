import { setTimeout as sleep } from 'node:timers/promises';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { Tenant } from '../support/tenant';
import type { ClaimedBuild } from './fairness';

export interface DrainOptions {
  readonly builds: number;
  readonly workers: number;
  readonly slotsEach: number;
  /** How long all may take. */
  readonly limitMs: number;
  /** Ends it early, with all that it started. */
  readonly signal?: AbortSignal;
}

/** What became of the builds, in the order of their claims. */
export interface Drain {
  readonly claims: readonly ClaimedBuild[];
  /** From the first start to the last end. */
  readonly totalMs: number;
}

/** A tenant with the builds that it will start. */
interface Share {
  /** A letter. */
  readonly name: string;
  readonly tenant: Tenant;
  readonly project: ProjectDto;
  readonly count: number;
}

const pollMs = 250;

/** How many builds each tenant has, in the proportion 100 : 10 : 1, the biggest first; each has one at least. */
export function sharesOf(builds: number): readonly { readonly tenant: string; readonly builds: number }[] {
  const middle = Math.max(1, Math.round((builds * 10) / 111));
  const small = Math.max(1, Math.round(builds / 111));
  return [
    { tenant: 'A', builds: builds - middle - small },
    { tenant: 'B', builds: middle },
    { tenant: 'c', builds: small },
  ];
}

/**
 * Lets workers drain builds of a second each, of three tenants on one API. The big tenant's are all started first, and
 * the workers take them meanwhile, then the middle one's, then the small one's.
 */
export async function drain({ builds, workers, slotsEach, limitMs, signal }: DrainOptions): Promise<Drain> {
  const repository = new BuildRepository();
  // Every build has another argument, so that the engine repeats no step of an earlier one.
  repository.script('main', 'ARG NUMBER', 'RUN echo $NUMBER; sleep 1');
  const settings = {
    ...repository.settings,
    WORKER_SLOTS: String(slotsEach),
    // The machine is full on purpose: a worker that gets no processor for a while has not died.
    LEASE_SECONDS: '60',
  };
  try {
    const cluster = await Cluster.start({ apis: 1, workers, settings });
    try {
      const shares: Share[] = [];
      for (const { tenant: name, builds: count } of sharesOf(builds)) {
        const tenant = await Tenant.make(cluster.api(0).service);
        const project = await tenant.project({ repository_url: repository.git.url, auto_start: true });
        shares.push({ name, tenant, project, count });
      }
      for (const share of shares) await startAll(share, signal);
      await allEnded(cluster, limitMs, signal);
      return await resultOf(cluster, new Map(shares.map(({ name, tenant }) => [tenant.id, name])));
    } finally {
      await cluster.stop();
    }
  } finally {
    repository.remove();
  }
}

async function startAll({ tenant, project, count }: Share, signal?: AbortSignal): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    signal?.throwIfAborted();
    await tenant.create(project, { branch: 'main', args: { NUMBER: String(number) } });
  }
}

async function allEnded(cluster: Cluster, limitMs: number, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + limitMs;
  const left = async (): Promise<number> =>
    (await cluster.sql(`SELECT id FROM builds WHERE status = 'in_progress' OR lease_token IS NOT NULL`)).length;
  for (let builds = await left(); builds > 0; builds = await left()) {
    signal?.throwIfAborted();
    if (Date.now() > deadline) throw new Error(`${builds} builds were left after ${limitMs / 1000} s`);
    await sleep(pollMs);
  }
}

async function resultOf(cluster: Cluster, names: ReadonlyMap<string, string>): Promise<Drain> {
  const rows = await cluster.sql<Omit<ClaimedBuild, 'tenant'> & { readonly tenantId: string }>(
    `WITH first AS (SELECT min(started_at) AS at FROM builds)
     SELECT b.tenant_id AS "tenantId", b.status, b.error_message AS error,
            extract(epoch FROM b.started_at - first.at)::float8 * 1000 AS "startedMs",
            extract(epoch FROM b.claimed_at - first.at)::float8 * 1000 AS "claimedMs",
            extract(epoch FROM b.completed_at - first.at)::float8 * 1000 AS "endedMs"
     FROM builds b, first ORDER BY b.claimed_at, b.id`,
  );
  const claims = rows.map(({ tenantId, ...build }) => ({ ...build, tenant: names.get(tenantId) ?? tenantId }));
  return { claims, totalMs: Math.max(...claims.map(({ endedMs }) => endedMs)) };
}
