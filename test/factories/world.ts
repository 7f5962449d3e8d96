import { type Permission } from '../../src/access/permission';
import { Api } from '../support/api';
import type { Caller } from '../support/caller';
import { BuildFactory, type BuildRow, type BuildWishes } from './build.factory';
import { ProjectFactory, type ProjectRow } from './project.factory';
import { TenantFactory } from './tenant.factory';

/** One tenant with a project, and a client that may do everything in it. */
export class World {
  private constructor(
    public readonly api: Api,
    public readonly tenantId: string,
    public readonly project: ProjectRow,
    public readonly caller: Caller,
  ) {}

  /** Another one on the same application is another tenant's. */
  public static async make(api: Api): Promise<World> {
    const { id } = await TenantFactory.from(api).build();
    const project = await ProjectFactory.from(api, { tenant_id: id }).build();
    return new World(api, id, project, api.as({ tenantId: id }));
  }

  /** Somebody of this tenant with these permissions alone. */
  public with(...permissions: Permission[]): Caller {
    return this.api.as({ tenantId: this.tenantId, permissions });
  }

  /** Another project of this tenant. */
  public otherProject(values: Readonly<Record<string, unknown>> = {}): Promise<ProjectRow> {
    return ProjectFactory.from(this.api, { tenant_id: this.tenantId, ...values }).build();
  }

  public build(values: BuildWishes = {}, ...log: string[]): Promise<BuildRow> {
    return BuildFactory.from(this.api, this.project, values)
      .withLog(...log)
      .build();
  }
}
