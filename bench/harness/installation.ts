import { OwnPostgres } from '../../test/support/own-postgres';
import { Service } from '../../test/support/service';
import { Tenant } from '../../test/support/tenant';

/** A PostgreSQL of its own with the durability of production, one process of the product on it, and a tenant. */
export class Installation {
  private constructor(
    public readonly postgres: OwnPostgres,
    public readonly service: Service,
    public readonly tenant: Tenant,
  ) {}

  /** @param settings of the process; its role is `api` unless they say otherwise */
  public static async open(settings: Readonly<Record<string, string>> = {}): Promise<Installation> {
    const postgres = await OwnPostgres.start({ settings: { fsync: 'on', max_wal_size: '4GB' } });
    try {
      const service = await Service.start({ databaseUrl: postgres.url, settings: { ROLES: 'api', ...settings } });
      return new Installation(postgres, service, await Tenant.make(service));
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  /** Of the tenant's own. */
  public async project(): Promise<{ readonly id: string }> {
    return this.tenant.project({ repository_url: 'https://git.example.com/team/app.git' });
  }

  /** The token of the tenant's admin. */
  public get token(): string {
    return this.tenant.caller.token ?? '';
  }

  public async close(): Promise<void> {
    await this.service.stop();
    await this.postgres.stop();
  }
}
