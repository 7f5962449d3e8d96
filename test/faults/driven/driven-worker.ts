import { EventEmitter2 } from '@nestjs/event-emitter';
import { Test, type TestingModule } from '@nestjs/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { AppModule } from '../../../src/app.module';
import type { LogEntry } from '../../../src/build-logs/log-entry';
import { parseEnv } from '../../../src/config/env';
import { Lifetime } from '../../../src/config/lifetime';
import { query } from '../../../src/database/query';
import type { BuildLogAppended } from '../../../src/events/build-events';
import { BuildQueueRepository, type Claim } from '../../../src/execution/build-queue.repository';
import { BuildRunner } from '../../../src/execution/build-runner';
import { IMAGE_BUILDER } from '../../../src/execution/image-builder';
import { type Workspace, Workspaces } from '../../../src/execution/workspaces';
import { Reaper } from '../../../src/maintenance/reaper';
import { artifactDirOf } from '../../support/postgres';
import { jwtSecret } from '../../support/service';
import { DrivenEngine } from './driven-engine';
import { DrivenRun, type Stored } from './driven-run';

/** What every driven checkout finds. */
const checkedOut = { commit: 'c'.repeat(40), authorName: null, authorEmail: null };

/** So long that no lease ends, and no worker looks after one, unless the test wants it. */
const leaseSeconds = 3_600;

/**
 * A worker of this process whose claims, engine and checkouts are led by a test; its queue, lease, log writer, record,
 * reaper and database are those of every worker.
 */
export class DrivenWorker {
  /** Told of all that the store acknowledges to this worker's runs. */
  public onStored: (claim: Claim, stored: Stored) => void = () => undefined;
  /** A checkout ends when this is resolved. */
  public checkouts: Promise<void> = Promise.resolve();
  private readonly runs: DrivenRun[] = [];
  private readonly writes = new Map<string, { readonly claim: Claim; readonly stored: Stored[] }>();

  private constructor(
    private readonly module: TestingModule,
    private readonly engine: DrivenEngine,
    private readonly dataDir: string,
  ) {
    module.get(EventEmitter2, { strict: false }).on('build.log.appended', (event: BuildLogAppended) => {
      this.hear(event);
    });
  }

  public static async start(databaseUrl: string): Promise<DrivenWorker> {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'image-factory-driven-'));
    const artifactDir = artifactDirOf(databaseUrl);
    const env = parseEnv({
      DATABASE_URL: databaseUrl,
      DATA_DIR: dataDir,
      ...(artifactDir === undefined ? {} : { ARTIFACT_DIR: artifactDir }),
      // Nothing is claimed but by the test.
      ROLES: 'api',
      JWT_SECRET: jwtSecret,
      LEASE_SECONDS: String(leaseSeconds),
      LOG_LEVEL: 'silent',
    });
    const engine = new DrivenEngine();
    const workspace: Workspace = {
      checkoutDir: dataDir,
      checkOut: () => worker.checkouts.then(() => checkedOut),
      remove: () => Promise.resolve(),
    };
    const module = await Test.createTestingModule({ imports: [AppModule.with(env, new Lifetime())] })
      .overrideProvider(IMAGE_BUILDER)
      .useValue(engine)
      .overrideProvider(Workspaces)
      .useValue({ open: () => Promise.resolve(workspace) } satisfies Pick<Workspaces, 'open'>)
      .compile();
    module.useLogger(false);
    const worker = new DrivenWorker(await module.init(), engine, dataDir);
    return worker;
  }

  public get source(): DataSource {
    return this.module.get(DataSource, { strict: false });
  }

  public get queue(): BuildQueueRepository {
    return this.module.get(BuildQueueRepository, { strict: false });
  }

  public get<Provider>(type: new (...args: never[]) => Provider): Provider {
    return this.module.get<Provider>(type, { strict: false });
  }

  /** Takes the next build of the queue and leads it to its engine; null when none waits. */
  public async claim(): Promise<DrivenRun | null> {
    const claim = await this.take();
    return claim === null ? null : this.run(claim);
  }

  /** Takes the next build of the queue, and does nothing with it yet. */
  public take(): Promise<Claim | null> {
    return this.queue.claim('driven', leaseSeconds);
  }

  /** Leads a claimed build to its engine, or to its end when it was taken away before. */
  public async run(claim: Claim): Promise<DrivenRun> {
    const stored: Stored[] = [];
    this.writes.set(claim.id, { claim, stored });
    const begun = this.engine.begun(claim.id);
    const run = this.module.get(BuildRunner, { strict: false }).start(claim);
    const engine = await Promise.race([begun, run.ended.then(() => null)]);
    const driven = new DrivenRun(claim, run, engine, stored);
    this.runs.push(driven);
    return driven;
  }

  /** Ends the lease as if its worker had been silent for too long, and waits until a reaper has taken it. */
  public async lose({ id, token }: Pick<Claim, 'id' | 'token'>): Promise<void> {
    const expire = `UPDATE builds SET lease_expires_at = now() - interval '1 second'
                    WHERE id = $1 AND lease_token = $2 RETURNING id`;
    // Another process may be about to reap it, or the worker may have come back.
    while ((await query(this.source, expire, [id, token])).length > 0) {
      await this.module.get(Reaper, { strict: false }).reap();
    }
  }

  /** For `afterAll`: ends what still runs. */
  public async stop(): Promise<void> {
    await Promise.all(this.runs.map((run) => run.finish('failed')));
    await this.module.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** The reaper of this process publishes as well: what it says is no worker's. */
  private hear({ buildId, firstLine, lines, ended }: BuildLogAppended): void {
    const messages = messagesOf(lines);
    if (messages.some((message) => /worker (?:was )?lost$/.test(message))) return;
    const stored = { firstLine, lines: messages, ended };
    const writes = this.writes.get(buildId);
    if (writes === undefined) return;
    writes.stored.push(stored);
    this.onStored(writes.claim, stored);
  }
}

function messagesOf(lines: string): string[] {
  return lines === '' ? [] : lines.split('\n').map((line) => (JSON.parse(line) as LogEntry).message);
}
