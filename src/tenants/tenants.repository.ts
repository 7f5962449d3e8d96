import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Repository } from 'typeorm';
import { offsetOf, type PageQuery } from '../http/page';
import { TenantEntity } from './tenant.entity';

export type TenantChange = Partial<Pick<TenantEntity, 'disabledAt' | 'registryPrefixes'>>;

@Injectable()
export class TenantsRepository {
  public constructor(@InjectRepository(TenantEntity) private readonly tenants: Repository<TenantEntity>) {}

  /** @throws QueryFailedError by the constraint `tenants_name_key` when the name is taken. */
  public insert(manager: EntityManager, name: string, registryPrefixes: string[]): Promise<TenantEntity> {
    const tenants = manager.getRepository(TenantEntity);
    return tenants.save(tenants.create({ name, registryPrefixes, disabledAt: null }));
  }

  public find(id: string, manager: EntityManager = this.tenants.manager): Promise<TenantEntity | null> {
    return manager.getRepository(TenantEntity).findOneBy({ id });
  }

  public list(page: PageQuery): Promise<[TenantEntity[], number]> {
    return this.tenants.findAndCount({
      order: { createdAt: 'ASC', id: 'ASC' },
      skip: Number(offsetOf(page)),
      take: page.limit,
    });
  }

  public async update(manager: EntityManager, id: string, change: TenantChange): Promise<TenantEntity | null> {
    await manager.getRepository(TenantEntity).update({ id }, change);
    return this.find(id, manager);
  }
}
