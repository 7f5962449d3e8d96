import { Injectable } from '@nestjs/common';
import { TenantsRepository } from '../../tenants/tenants.repository';

/** How long a tenant that was disabled may still be served; in exchange most requests ask no database for it. */
const rememberedMs = 30_000;
const most = 10_000;

/** Knows for a short time which tenants exist and are not disabled. */
@Injectable()
export class EnabledTenants {
  private readonly knownUntil = new Map<string, number>();

  public constructor(private readonly tenants: TenantsRepository) {}

  public async has(id: string): Promise<boolean> {
    if ((this.knownUntil.get(id) ?? 0) > performance.now()) return true;
    const tenant = await this.tenants.find(id);
    if (tenant?.disabledAt !== null) {
      this.knownUntil.delete(id);
      return false;
    }
    if (this.knownUntil.size >= most) this.knownUntil.clear();
    this.knownUntil.set(id, performance.now() + rememberedMs);
    return true;
  }
}
