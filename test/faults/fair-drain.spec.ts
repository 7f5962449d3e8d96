import { type Drain, drain } from '../drain/drain';
import type { ClaimedBuild } from '../drain/fairness';
import { faultsOf, reportOf } from '../drain/report';

const builds = 30;
const workers = 3;
const slotsEach = 2;
const slots = workers * slotsEach;

/** As if claimed one a second in this order, each running for as long as there are slots; all started at the start. */
function claimedInOrder(order: string): Drain {
  const claims: ClaimedBuild[] = Array.from(order, (tenant, index) => ({
    tenant,
    status: 'success',
    error: null,
    startedMs: 0,
    claimedMs: (index + 1) * 1_000,
    endedMs: (index + 1 + slots) * 1_000 - 1,
  }));
  return { claims, totalMs: (order.length + slots) * 1_000 };
}

describe('the drain', () => {
  it('lets no small tenant stand behind a bigger one', async () => {
    const result = await drain({ builds, workers, slotsEach, limitMs: 180_000 });
    expect(result.claims).toHaveLength(builds);
    expect(faultsOf(result, slots)).toEqual([]);
    expect(reportOf(result)).toContain(`${builds} builds in `);
  }, 240_000);

  it('calls it a fault when builds are claimed by age alone, or when one fails', () => {
    const fair = claimedInOrder(`AAAAAABcBBA${'A'.repeat(10)}`);
    expect(faultsOf(claimedInOrder(`ABcABABA${'A'.repeat(10)}`), slots)).toEqual([]);
    const unfair = faultsOf(claimedInOrder(`${'A'.repeat(20)}BBc`), slots);
    expect(unfair).toContain('Claim 2: A ran 1 builds, and B waited with fewer');
    expect(unfair).toContain('A build of c was passed by 20 builds of a bigger tenant');
    const [first, ...others] = fair.claims;
    if (first === undefined) throw new Error('No claim');
    const failed = { ...first, tenant: 'c', status: 'failed', error: 'worker lost' };
    expect(faultsOf({ ...fair, claims: [failed, ...others] }, slots)).toContain('A build of c is failed: worker lost');
  });
});
