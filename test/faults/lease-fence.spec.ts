import { existsSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import { BuildLogsRepository } from '../../src/build-logs/build-logs.repository';
import { LeaseLost } from '../../src/build-logs/lease-lost';
import { chunksOf } from '../../src/build-logs/log-chunk';
import { logEntry } from '../../src/build-logs/log-entry';
import type { Claim } from '../../src/execution/build-queue.repository';
import type { ProjectDto } from '../../src/projects/project.dto';
import { artifactDirOf } from '../support/postgres';
import { waitUntil } from '../support/wait-until';
import { Arena } from './driven/arena';
import { Deferred } from './driven/deferred';
import type { DrivenRun } from './driven/driven-run';

let arena: Arena;
let project: ProjectDto;
let archives: string;

beforeAll(async () => {
  arena = await Arena.start();
  project = await arena.project();
  archives = artifactDirOf(arena.databaseUrl) ?? '';
}, 60_000);

afterAll(() => arena.stop());

/** A build that the driven worker runs, with a line of its own. */
async function running(): Promise<DrivenRun> {
  const [run] = await arena.runs(project, 1);
  if (run === undefined) throw new Error('One was asked for');
  await run.write(`a line of ${run.id}`);
  return run;
}

/** All that the database knows of a build and its log. */
async function stateOf(id: string): Promise<unknown[]> {
  return [
    await arena.sql('SELECT * FROM builds WHERE id = $1', [id]),
    await arena.sql('SELECT * FROM build_logs WHERE build_id = $1', [id]),
    await arena.sql('SELECT * FROM build_log_chunks WHERE build_id = $1 ORDER BY first_line', [id]),
  ];
}

async function expectLost({ id }: { readonly id: string }): Promise<void> {
  const [tenant] = arena.tenants;
  expect(await tenant.build(id)).toMatchObject({ status: 'failed', error_message: 'worker lost', image_digest: null });
  const lines = await tenant.lines(id);
  expect(lines.at(-1)).toBe('Build failed: worker lost');
  expect(lines.filter((line) => line.startsWith('Build failed'))).toHaveLength(1);
  expect(existsSync(path.join(archives, `${id}.tar`))).toBe(false);
}

/** All that a worker writes, written with a lease that is not its own any more. */
async function expectRefused(claim: Claim): Promise<void> {
  const { queue, source } = arena.worker;
  const logs = arena.worker.get(BuildLogsRepository);
  const before = await stateOf(claim.id);
  expect(await queue.renew(claim, 60)).toBeNull();
  await queue.saveProgress(claim, { stepsDone: 7, stepsTotal: 9 });
  await queue.saveCommit(claim, { commit: 'e'.repeat(40), authorName: 'Eve', authorEmail: null });
  const last = [logEntry('INFO', 'late')];
  for (const chunk of chunksOf(last)) {
    for (const seq of [1, 2, 3, 4]) {
      const flush = logs.flush({ buildId: claim.id, token: claim.token, seq, chunk });
      await expect(flush).rejects.toBeInstanceOf(LeaseLost);
    }
  }
  expect(await logs.close(source.manager, claim.id, 'success', last, claim.token)).toBeNull();
  const success = { status: 'success', digest: `sha256:${'0'.repeat(64)}`, reference: null, archive: 'x' } as const;
  for (const ending of [success, { status: 'failed', message: 'late' } as const]) {
    const progress = { stepsDone: 9, stepsTotal: 9 };
    expect(await source.transaction((manager) => queue.finish(manager, claim, ending, progress))).toBe(false);
  }
  expect(await source.transaction((manager) => queue.release(manager, claim.id, claim.token))).toBeNull();
  expect(await stateOf(claim.id)).toEqual(before);
}

describe('with the token of a lost lease', () => {
  it('nothing can be changed: not the lease, the progress, the commit, the log, the end, or the lease again', async () => {
    const { claim } = await running();
    await arena.worker.lose(claim);
    await expectRefused(claim);
    await expectLost(claim);
  });
});

describe('a build that was given back and claimed anew', () => {
  it('takes no line and no end of its first worker', async () => {
    const first = await running();
    // As after a claim whose commit was not acknowledged.
    await arena.sql(`UPDATE builds SET lease_token = NULL, lease_expires_at = NULL, claimed_at = NULL WHERE id = $1`, [
      first.id,
    ]);
    const second = await arena.worker.claim();
    expect(second?.id).toBe(first.id);
    await second?.write('a line of the second');
    await expectRefused(first.claim);
    await Promise.all([first.write('late'), second?.write('another line of the second')]);
    await first.ended;
    expect(await second?.finish('failed')).toBe('failed');
    const [tenant] = arena.tenants;
    expect(await tenant.lines(first.id)).toEqual(expect.not.arrayContaining(['late']));
    expect(await tenant.build(first.id)).toMatchObject({ status: 'failed', error_message: 'A step failed' });
  });
});

/** Where a worker may fall silent, and how it goes on when it comes back. */
const comebacks: readonly (readonly [string, (run: DrivenRun) => Promise<unknown>])[] = [
  ['looks after its lease', (run) => run.check().then(() => run.ended)],
  ['prints a line', (run) => run.write('late')],
  ['has an image', (run) => run.finish('success')],
  ['has a failure', (run) => run.finish('failed')],
  [
    'prints its last lines and has an image',
    async (run) => {
      void run.write('late', 'later');
      await run.finish('success');
    },
  ],
];

describe('a worker that falls silent, whose build the reaper ends', () => {
  it.each(comebacks)('changes nothing when it comes back and %s', async (_, comeBack) => {
    const run = await running();
    await arena.worker.lose(run.claim);
    const before = await stateOf(run.id);
    await comeBack(run);
    await run.ended;
    expect(run.end).toBe('gone');
    expect(await stateOf(run.id)).toEqual(before);
    await expectLost(run);
  });

  it('changes nothing when it comes back in the checkout', async () => {
    const checkedOut = new Deferred<undefined>();
    arena.worker.checkouts = checkedOut.promise;
    const { id } = await arena.tenants[0].begin(project, { branch: 'main' });
    const claim = await arena.worker.take();
    expect(claim?.id).toBe(id);
    if (claim === null) return;
    const running = arena.worker.run(claim);
    await arena.tenants[0].line(id, 'Checking out main');
    await arena.worker.lose(claim);
    const before = await stateOf(id);
    checkedOut.resolve(undefined);
    arena.worker.checkouts = Promise.resolve();
    const run = await running;
    expect(await run.finish('success')).toBe('gone');
    expect(await stateOf(id)).toEqual(before);
    await expectLost(claim);
  });

  it.each(['cancelled', 'deleted'])('leaves a %s build as it is', async (how) => {
    const run = await running();
    const [tenant] = arena.tenants;
    if (how === 'cancelled') await tenant.cancel(run.id);
    else (await tenant.caller.delete(`/builds/${run.id}`)).expect(204);
    await arena.worker.lose(run.claim);
    const before = await stateOf(run.id);
    expect(await run.finish('success')).toBe('gone');
    if (how === 'cancelled') {
      expect(await stateOf(run.id)).toEqual(before);
      expect((await tenant.lines(run.id)).at(-1)).toBe('Build stopped: its worker was lost');
      expect(await tenant.build(run.id)).toMatchObject({ status: 'cancelled' });
    } else {
      expect((await tenant.caller.get(`/builds/${run.id}`)).status).toBe(404);
    }
    expect(existsSync(path.join(archives, `${run.id}.tar`))).toBe(false);
  });
});

describe('a worker and a reaper at the same build', () => {
  let holder: Client;

  beforeEach(async () => {
    holder = new Client({ connectionString: arena.databaseUrl });
    await holder.connect();
  });

  afterEach(() => holder.end());

  /** Keeps everybody from the log of a build, who then waits. */
  async function holdLog(id: string): Promise<void> {
    await holder.query('BEGIN');
    await holder.query('SELECT FROM build_logs WHERE build_id = $1 FOR UPDATE', [id]);
  }

  /** Resolves when so many wait for a lock, or when they gave up: then they try again. */
  async function waiting(count: number): Promise<void> {
    const blocked = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await waitUntil(async () => (await arena.sql(blocked)).length >= count);
  }

  it('a line that waits while the reaper commits is not written', async () => {
    const run = await running();
    await holdLog(run.id);
    const lost = arena.worker.lose(run.claim);
    await waiting(1);
    const written = run.write('late');
    await waiting(2);
    await holder.query('ROLLBACK');
    await Promise.all([lost, written, run.ended]);
    expect(run.end).toBe('gone');
    await expectLost(run);
    expect(await arena.tenants[0].lines(run.id)).not.toContain('late');
  });

  it('an end that waits while the reaper commits is not recorded', async () => {
    const run = await running();
    await holdLog(run.id);
    const lost = arena.worker.lose(run.claim);
    await waiting(1);
    const finished = run.finish('success');
    await waiting(2);
    await holder.query('ROLLBACK');
    await Promise.all([lost, finished]);
    expect(run.end).toBe('gone');
    await expectLost(run);
  });

  it('an end that is being recorded is not taken away, although the lease has ended', async () => {
    const run = await running();
    await holdLog(run.id);
    const finished = run.finish('success');
    await waiting(1);
    const lost = arena.worker.lose(run.claim);
    await holder.query('ROLLBACK');
    await Promise.all([lost, finished]);
    expect(run.end).toBe('success');
    expect(await arena.tenants[0].build(run.id)).toMatchObject({ status: 'success' });
    expect((await arena.tenants[0].lines(run.id)).at(-1)).toMatch(/^Build succeeded/);
    expect(existsSync(path.join(archives, `${run.id}.tar`))).toBe(true);
  });
});
