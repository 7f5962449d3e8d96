import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { Notifications, type Wake } from '../../../src/database/notifications';
import { DatabaseProxy } from '../../support/database-proxy';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { waitUntil } from '../../support/wait-until';

const buildId = '7c9e6679-7425-40de-944b-e07fc1f90ae7';

let postgres: TestPostgres;
let admin: DataSource;
let here: Notifications;
let there: Notifications;
let heardHere: Wake[];
let heardThere: Wake[];

beforeAll(async () => {
  Logger.overrideLogger(false);
  postgres = await startTestPostgres();
  admin = await new DataSource({ type: 'postgres', url: postgres.adminUrl }).initialize();
});

afterAll(async () => {
  await admin.destroy();
  await postgres.stop();
});

beforeEach(async () => {
  [here, there] = [new Notifications(postgres), new Notifications(postgres)];
  [heardHere, heardThere] = [[], []];
  await Promise.all([here.onModuleInit(), there.onModuleInit()]);
  here.subscribe((wake) => heardHere.push(wake));
  there.subscribe((wake) => heardThere.push(wake));
});

afterEach(async () => {
  await Promise.all([here.onApplicationShutdown(), there.onApplicationShutdown()]);
});

describe('Notifications', () => {
  it('wakes this process at once and the others through the database, each once', async () => {
    here.wake({ kind: 'control', buildId });
    expect(heardHere).toEqual([{ kind: 'control', buildId }]);
    here.wake({ kind: 'queue' });
    await waitUntil(() => heardThere.length >= 2);
    expect(heardThere).toEqual([{ kind: 'control', buildId }, { kind: 'queue' }]);
    expect(heardHere).toHaveLength(2);
  });

  it('replaces wakes that wait to be sent, and does not lose the end of a log', async () => {
    for (let totalLines = 1; totalLines <= 1_000; totalLines += 1) {
      here.announce({ kind: 'log', buildId, totalLines, ended: totalLines === 999 });
    }
    await waitUntil(() => heardThere.some((wake) => wake.kind === 'log' && wake.totalLines === 1_000));
    expect(heardThere.at(-1)).toEqual({ kind: 'log', buildId, totalLines: 1_000, ended: true });
    expect(heardThere.length).toBeLessThan(10);
    expect(heardHere).toEqual([]);
  });

  it('listens again after its connections were cut, and says that something may have been missed', async () => {
    here.wake({ kind: 'queue' });
    await waitUntil(() => heardThere.length === 1);
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'image-factory %'`);
    await waitUntil(() => heardThere.some(({ kind }) => kind === 'resync'), 5_000);
    await waitUntil(() => {
      here.announce({ kind: 'control', buildId });
      return heardThere.some(({ kind }) => kind === 'control');
    }, 5_000);
  });

  it('is not disturbed by listeners that fail and notifications that are not ours', async () => {
    there.subscribe(() => {
      throw new Error('a broken listener');
    });
    await admin.query(
      `SELECT pg_notify('image_factory', payload) FROM unnest(ARRAY['', 'x', '{"from": 1', 'null']) payload`,
    );
    here.wake({ kind: 'queue' });
    await waitUntil(() => heardThere.length > 0);
    expect(heardThere).toEqual([{ kind: 'queue' }]);
  });

  it('leaves no connection open', async () => {
    here.wake({ kind: 'queue' });
    await Promise.all([here.onApplicationShutdown(), there.onApplicationShutdown()]);
    await waitUntil(async () => {
      const open = await admin.query<unknown[]>(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'image-factory %'`,
      );
      return open.length === 0;
    }, 2_000);
  });
});

describe('a connection whose peer vanished without a word', () => {
  /** More than a heartbeat, the wait for its answer and a new connection. */
  const noticedMs = 15_000;
  let proxy: DatabaseProxy;
  let far: Notifications;
  let heardFar: Wake[];

  beforeEach(async () => {
    proxy = await DatabaseProxy.start(postgres.url);
    far = new Notifications(proxy);
    heardFar = [];
    await far.onModuleInit();
    far.subscribe((wake) => heardFar.push(wake));
    far.announce({ kind: 'queue' });
    await waitUntil(() => heardHere.length === 1);
  });

  afterEach(async () => {
    await far.onApplicationShutdown();
    await proxy.stop();
  });

  it('is replaced, and the listener says that something may have been missed', async () => {
    proxy.silence();
    here.wake({ kind: 'control', buildId });
    await waitUntil(() => heardFar.some(({ kind }) => kind === 'resync'), noticedMs);
    here.wake({ kind: 'queue' });
    await waitUntil(() => heardFar.some(({ kind }) => kind === 'queue'));
    expect(heardFar).toEqual([{ kind: 'resync' }, { kind: 'queue' }]);
  });

  it('keeps wakes until they can be sent', async () => {
    proxy.swallow();
    far.announce({ kind: 'control', buildId });
    far.announce({ kind: 'log', buildId, totalLines: 1, ended: true });
    await sleep(3_000);
    far.announce({ kind: 'log', buildId, totalLines: 2, ended: false });
    proxy.admit();
    await waitUntil(() => heardHere.length === 3, noticedMs);
    expect(heardHere).toEqual(
      expect.arrayContaining([
        { kind: 'control', buildId },
        { kind: 'log', buildId, totalLines: 2, ended: true },
      ]),
    );
  });
});
