import { DataSource } from 'typeorm';
import { BuildLogsRepository } from '../../../src/build-logs/build-logs.repository';
import { parseEnv } from '../../../src/config/env';
import { DATABASE_ADDRESS, type DatabaseAddress } from '../../../src/database/database-address';
import { dataSourceOptions } from '../../../src/database/data-source-options';
import { BuildQueueRepository, type Claim } from '../../../src/execution/build-queue.repository';
import type { Api } from '../../support/api';

/** What a worker process has to do with the queue, with connections and limits of its own, and without builds. */
export class Claimer {
  private constructor(
    private readonly source: DataSource,
    private readonly queue: BuildQueueRepository,
  ) {}

  public static async start(api: Api, limits: Readonly<Record<string, string>> = {}): Promise<Claimer> {
    const { url } = api.app.get<DatabaseAddress>(DATABASE_ADDRESS);
    const source = await new DataSource(dataSourceOptions(url)).initialize();
    return new Claimer(source, new BuildQueueRepository(parseEnv(limits), source, new BuildLogsRepository(source)));
  }

  public claim(): Promise<Claim | null> {
    return this.queue.claim('a worker', 60);
  }

  /** Claims until nothing can be claimed; the ids in the order of the claims. */
  public async claimAll(): Promise<string[]> {
    const ids: string[] = [];
    for (let claim = await this.claim(); claim !== null; claim = await this.claim()) ids.push(claim.id);
    return ids;
  }

  /** Decides a build as failed and gives its lease back. */
  public finish(claim: Claim): Promise<boolean> {
    const ending = { status: 'failed', message: 'Step 1 failed' } as const;
    return this.source.transaction((manager) =>
      this.queue.finish(manager, claim, ending, { stepsDone: 0, stepsTotal: 0 }),
    );
  }

  /** Gives the lease of a build back that was cancelled and whose processes are dead. */
  public async release({ id, token }: Claim): Promise<void> {
    await this.source.transaction((manager) => this.queue.release(manager, id, token));
  }

  public async stop(): Promise<void> {
    await this.source.destroy();
  }
}
