import type { Drain } from './drain';
import { type ClaimedBuild, median, mostOvertaking, unfairClaims } from './fairness';

/** What was wrong, a sentence each: builds that failed, unfair claims, small tenants behind bigger ones. */
export function faultsOf({ claims }: Drain, slots: number): string[] {
  const failed = claims.filter(({ status }) => status !== 'success');
  const tenants = tenantsOf(claims);
  return [
    ...failed.map(({ tenant, status, error }) => `A build of ${tenant} is ${status}: ${error ?? ''}`),
    ...unfairClaims(claims),
    ...tenants.slice(1).flatMap((tenant, index) => {
      const overtaking = mostOvertaking(claims, tenant, tenants.slice(0, index + 1));
      return overtaking > slots ? [`A build of ${tenant} was passed by ${overtaking} builds of a bigger tenant`] : [];
    }),
  ];
}

/** For a person: a line a tenant, then the order of the claims, a letter each. */
export function reportOf({ claims, totalMs }: Drain): string {
  const rows = tenantsOf(claims).map((tenant) => {
    const own = claims.filter((build) => build.tenant === tenant);
    const waits = own.map(({ startedMs, claimedMs }) => claimedMs - startedMs);
    const places = claims.flatMap((build, index) => (build.tenant === tenant ? [index + 1] : []));
    return [
      tenant,
      String(own.length),
      [Math.min(...waits), median(waits), Math.max(...waits)].map(seconds).join(' / '),
      [Math.min(...places), median(places), Math.max(...places)].join(' / '),
      `${seconds(Math.min(...own.map(({ startedMs }) => startedMs)))} – ${seconds(Math.max(...own.map(({ startedMs }) => startedMs)))}`,
    ];
  });
  const head = ['Tenant', 'Builds', 'Waited s: least / median / most', 'Claims: first / median / last', 'Started at s'];
  const table = [head, ...rows].map((cells) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '),
  );
  const order = claims.map(({ tenant }) => tenant).join('');
  return [
    ...table.map((line) => line.trimEnd()),
    '',
    'The order of the claims:',
    ...(order.match(/.{1,100}/g) ?? []),
    '',
    `${claims.length} builds in ${seconds(totalMs)} s`,
  ].join('\n');
}

const widths = [6, 6, 31, 29, 12];

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** The biggest first. */
function tenantsOf(claims: readonly ClaimedBuild[]): string[] {
  const count = (tenant: string): number => claims.filter((build) => build.tenant === tenant).length;
  return [...new Set(claims.map(({ tenant }) => tenant))].sort((a, b) => count(b) - count(a) || (a < b ? -1 : 1));
}
