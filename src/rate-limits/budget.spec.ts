import { Budget, type Standing } from './budget';
import type { Share } from './rate-limits.repository';

const limit = { most: 100, windowSeconds: 60 };

/** A shared budget in memory, and a clock that the test moves. */
class Store {
  public clock = 0;
  public asked = 0;
  public isAway = false;
  private taken = 0;
  private endsAt = 0;

  public readonly take = (): Promise<Share | null> => {
    this.asked += 1;
    if (this.isAway) return Promise.resolve(null);
    if (this.endsAt <= this.clock) {
      this.taken = 0;
      this.endsAt = this.clock + 60_000;
    }
    const granted = Math.ceil((limit.most - this.taken) / 20);
    this.taken += granted;
    return Promise.resolve({ granted, left: limit.most - this.taken, endsInMs: this.endsAt - this.clock });
  };

  public budget(): Budget {
    return new Budget(limit, this.take, () => this.clock);
  }
}

async function spend(budget: Budget, times: number): Promise<Standing[]> {
  const standings: Standing[] = [];
  for (let time = 0; time < times; time += 1) standings.push(await budget.spend());
  return standings;
}

const within = (standings: readonly Standing[]): number => standings.filter(({ isWithin }) => isWithin).length;

describe('Budget', () => {
  it('lets exactly the limit pass in a window, and tells what is left', async () => {
    const store = new Store();
    const standings = await spend(store.budget(), 120);
    expect(within(standings)).toBe(100);
    expect(standings[0]).toEqual({ isWithin: true, limit: 100, remaining: 99, resetSeconds: 60 });
    expect(standings[99]).toMatchObject({ isWithin: true, remaining: 0 });
    expect(standings[100]).toMatchObject({ isWithin: false, remaining: 0 });
  });

  it('asks the store for shares, not for each request, and not at all once the budget is spent', async () => {
    const store = new Store();
    const budget = store.budget();
    await spend(budget, 50);
    expect(store.asked).toBeLessThanOrEqual(15);
    await spend(budget, 60);
    const { asked } = store;
    await spend(budget, 50);
    expect(store.asked).toBe(asked);
  });

  it('lets several replicas together pass no more than the limit, and strands little of it', async () => {
    const store = new Store();
    const replicas = [store.budget(), store.budget(), store.budget()];
    let passed = 0;
    for (let round = 0; round < 60; round += 1) {
      for (const replica of replicas) passed += within(await spend(replica, 1));
    }
    expect(passed).toBe(100);
  });

  it('takes one share for requests that come together', async () => {
    const store = new Store();
    const budget = store.budget();
    const standings = await Promise.all(Array.from({ length: 5 }, () => Promise.resolve(budget.spend())));
    expect(within(standings)).toBe(5);
    expect(store.asked).toBe(1);
  });

  it('begins anew with the next window, and keeps no share of the last one', async () => {
    const store = new Store();
    const budget = store.budget();
    await spend(budget, 101);
    store.clock = 60_000;
    expect(budget.isOver).toBe(true);
    expect(within(await spend(budget, 120))).toBe(100);
  });

  it('allows the limit by itself while the store is away', async () => {
    const store = new Store();
    store.isAway = true;
    const budget = store.budget();
    expect(within(await spend(budget, 150))).toBe(100);
    store.clock = 60_000;
    store.isAway = false;
    expect(within(await spend(budget, 150))).toBe(100);
  });
});
