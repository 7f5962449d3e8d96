import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Caller } from '../access/caller';
import { AuditLog } from '../audit/audit-log';
import { isUniqueViolation } from '../database/database-errors';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import { pageOf, type PageQuery } from '../http/page';
import { hashPassword } from '../users/password';
import { UsersService } from '../users/users.service';
import {
  type CreatedTenantDto,
  type CreateTenantDto,
  type TenantDto,
  type TenantListDto,
  toCreatedTenant,
  toTenant,
  type UpdateTenantDto,
} from './tenant.dto';
import { type TenantChange, TenantsRepository } from './tenants.repository';

@Injectable()
export class TenantsService {
  public constructor(
    private readonly dataSource: DataSource,
    private readonly tenants: TenantsRepository,
    private readonly users: UsersService,
    private readonly audit: AuditLog,
  ) {}

  /** Makes a tenant together with its first admin: both or neither. */
  public async create(caller: Caller, request: CreateTenantDto): Promise<CreatedTenantDto> {
    const { name, admin, registry_prefixes: prefixes = [] } = request;
    const { email, password, name: adminName } = admin;
    // Before the transaction: it takes so long that many at once would keep the connections from everybody else.
    const passwordHash = await hashPassword(password, caller.tenantId);
    try {
      return await this.dataSource.transaction(async (manager) => {
        const tenant = await this.tenants.insert(manager, name, prefixes);
        const user = await this.users.open(manager, {
          email,
          passwordHash,
          name: adminName,
          tenantId: tenant.id,
          role: 'admin',
          platformAdmin: false,
        });
        await this.audit.record(manager, caller, {
          action: 'tenant.create',
          resource: { type: 'tenant', id: tenant.id },
          details: { admin: user.id, registry_prefixes: prefixes },
        });
        return toCreatedTenant(tenant, user);
      });
    } catch (error) {
      if (isUniqueViolation(error, 'tenants_name_key')) {
        throw new ApiError(409, 'A tenant of this name exists already', { name: 'is taken' }, { cause: error });
      }
      throw error;
    }
  }

  public async list(page: PageQuery): Promise<TenantListDto> {
    const [tenants, total] = await this.tenants.list(page);
    return {
      tenants: tenants.map(toTenant),
      ...pageOf(page, total),
    };
  }

  public async update(caller: Caller, id: string, request: UpdateTenantDto): Promise<TenantDto> {
    const change: TenantChange = {
      ...(request.disabled === undefined ? {} : { disabledAt: request.disabled ? new Date() : null }),
      ...(request.registry_prefixes === undefined ? {} : { registryPrefixes: request.registry_prefixes }),
    };
    if (request.disabled === true && id === caller.tenantId) {
      throw new ApiError(409, 'You cannot disable your own tenant');
    }
    const { disabled, registry_prefixes: prefixes } = request;
    return transact(this.dataSource, async (manager) => {
      const isEmpty = Object.keys(change).length === 0;
      const tenant = isEmpty ? await this.tenants.find(id, manager) : await this.tenants.update(manager, id, change);
      if (tenant === null) throw new ApiError(404, 'Tenant not found');
      if (!isEmpty) {
        const details = {
          ...(disabled === undefined ? {} : { disabled }),
          ...(prefixes === undefined ? {} : { registry_prefixes: prefixes }),
        };
        await this.audit.record(manager, caller, {
          action: 'tenant.update',
          resource: { type: 'tenant', id },
          details,
        });
      }
      return toTenant(tenant);
    });
  }
}
