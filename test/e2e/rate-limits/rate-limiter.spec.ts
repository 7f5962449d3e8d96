import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../../src/database/data-source-options';
import { RateLimiter } from '../../../src/rate-limits/rate-limiter';
import { RateLimitsRepository } from '../../../src/rate-limits/rate-limits.repository';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';

let postgres: TestPostgres;
let sources: DataSource[];
let limiters: RateLimiter[];

beforeAll(async () => {
  Logger.overrideLogger(false);
  postgres = await startTestPostgres();
  sources = [1, 2, 3].map(() => new DataSource(dataSourceOptions(postgres.url)));
  await Promise.all(sources.map((source) => source.initialize()));
  limiters = sources.map((source) => new RateLimiter(new RateLimitsRepository(source)));
});

afterAll(async () => {
  await Promise.all(sources.map((source) => source.destroy()));
  await postgres.stop();
});

const pick = (index: number): RateLimiter => {
  const limiter = limiters[index % limiters.length];
  if (limiter === undefined) throw new Error('There is no limiter');
  return limiter;
};

describe('RateLimiter', () => {
  it('lets three replicas together pass exactly the limit of a window', async () => {
    const limit = { most: 300, windowSeconds: 60 };
    const standings = await Promise.all(
      Array.from({ length: 900 }, (_, index) => Promise.resolve(pick(index).spend('three', limit))),
    );
    expect(standings.filter(({ isWithin }) => isWithin)).toHaveLength(300);
    const refused = standings.find(({ isWithin }) => !isWithin);
    expect(refused).toMatchObject({ limit: 300, remaining: 0 });
    expect(refused?.resetSeconds).toBeLessThanOrEqual(60);
  });

  it('gives each key a budget of its own', async () => {
    const limit = { most: 1, windowSeconds: 60 };
    expect(await pick(0).spend('one', limit)).toMatchObject({ isWithin: true });
    expect(await pick(1).spend('one', limit)).toMatchObject({ isWithin: false });
    expect(await pick(1).spend('other', limit)).toMatchObject({ isWithin: true });
  });

  it('begins a new window when the last one is over, and removes those that are', async () => {
    const limit = { most: 1, windowSeconds: 1 };
    expect(await pick(0).attempt('short', limit)).toBeNull();
    expect(await pick(1).attempt('short', limit)).toBe(1);
    await sources[0]?.query("UPDATE rate_limits SET window_ends_at = now() - interval '1 second' WHERE key = 'short'");
    expect(await pick(1).attempt('short', limit)).toBeNull();
    await sources[0]?.query("UPDATE rate_limits SET window_ends_at = now() - interval '1 second' WHERE key = 'short'");
    await pick(2).tidy();
    expect(await sources[0]?.query("SELECT key FROM rate_limits WHERE key = 'short'")).toEqual([]);
  });

  it('removes all windows that are over, however many a flood left', async () => {
    await sources[0]?.query(
      `INSERT INTO rate_limits (key, granted, taken, window_ends_at)
       SELECT 'flood ' || n, 1, 1, now() - interval '1 second' FROM generate_series(1, 2500) AS n`,
    );
    await Promise.all([pick(0).tidy(), pick(1).tidy()]);
    expect(await sources[0]?.query("SELECT key FROM rate_limits WHERE key LIKE 'flood %'")).toEqual([]);
  });

  it('counts attempts exactly over replicas, until they are forgotten', async () => {
    const limit = { most: 10, windowSeconds: 60 };
    const waits = await Promise.all(Array.from({ length: 40 }, (_, index) => pick(index).attempt('login', limit)));
    expect(waits.filter((wait) => wait === null)).toHaveLength(10);
    await pick(0).forget('login');
    expect(await pick(1).attempt('login', limit)).toBeNull();
  });

  it('keeps nobody waiting while the database does not answer, and then allows each replica the limit', async () => {
    const source = new DataSource(dataSourceOptions(postgres.url));
    await source.initialize();
    const limiter = new RateLimiter(new RateLimitsRepository(source));
    const holder = sources[0]?.createQueryRunner();
    await holder?.startTransaction();
    await holder?.query('LOCK TABLE rate_limits IN ACCESS EXCLUSIVE MODE');
    try {
      const standings = [];
      for (let time = 0; time < 50; time += 1)
        standings.push(await limiter.spend('away', { most: 40, windowSeconds: 60 }));
      expect(standings.filter(({ isWithin }) => isWithin)).toHaveLength(40);
    } finally {
      await holder?.rollbackTransaction();
      await holder?.release();
      await source.destroy();
    }
  });
});
