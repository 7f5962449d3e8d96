import type { ProjectDto } from '../../../src/projects/project.dto';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { Service } from '../../support/service';
import { type ProjectWishes, Tenant } from '../../support/tenant';
import type { DrivenRun } from './driven-run';
import { DrivenWorker } from './driven-worker';

/** Two replicas of the API, processes of the built product, and a driven worker on one database, with one tenant. */
export class Arena {
  private constructor(
    private readonly database: TestPostgres,
    private readonly replicas: readonly [Service, Service],
    /** The tenant's admin at each replica. */
    public readonly tenants: readonly [Tenant, Tenant],
    public readonly worker: DrivenWorker,
  ) {}

  public static async start(): Promise<Arena> {
    const database = await startTestPostgres();
    const options = { databaseUrl: database.url, settings: { ROLES: 'api' } };
    const first = await Service.start(options);
    const second = await Service.start(options);
    const tenant = await Tenant.make(first);
    const worker = await DrivenWorker.start(database.url);
    return new Arena(database, [first, second], [tenant, tenant.at(second)], worker);
  }

  public get databaseUrl(): string {
    return this.database.url;
  }

  /** The admin at one replica or at the other, by turns. */
  public tenant(index: number): Tenant {
    return this.tenants[index % 2 === 0 ? 0 : 1];
  }

  /** Rows of a statement that a test sends past the service. */
  public sql<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.replicas[0].sql<Row>(statement, values);
  }

  public project(wishes: Partial<ProjectWishes> = {}): Promise<ProjectDto> {
    return this.tenants[0].project({ repository_url: 'https://git.example.com/team/app.git', ...wishes });
  }

  /** Begins builds of a project, by turns at each replica, and has the driven worker take them. */
  public async runs(project: Pick<ProjectDto, 'id'>, count: number): Promise<DrivenRun[]> {
    const runs: DrivenRun[] = [];
    for (let index = 0; index < count; index += 1) {
      await this.tenant(index).begin(project, { branch: 'main' });
      runs.push(await this.taken());
    }
    return runs;
  }

  /** The next build of the queue. @throws Error when there is none */
  private async taken(): Promise<DrivenRun> {
    const run = await this.worker.claim();
    if (run === null) throw new Error('A started build can be claimed');
    return run;
  }

  public async stop(): Promise<void> {
    await this.worker.stop();
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    await this.database.stop();
  }
}
