import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Raw, Repository } from 'typeorm';
import { normalEmail } from './normal-email';
import { offsetOf, type PageQuery } from '../http/page';
import { UserEntity } from './user.entity';

export type NewUser = Pick<UserEntity, 'tenantId' | 'email' | 'passwordHash' | 'name' | 'role' | 'platformAdmin'>;
export type UserChange = Partial<Pick<UserEntity, 'role' | 'disabledAt'>>;

@Injectable()
export class UsersRepository {
  public constructor(@InjectRepository(UserEntity) private readonly users: Repository<UserEntity>) {}

  /** @throws QueryFailedError by the constraint `users_email_key` when the address is taken. */
  public async insert(manager: EntityManager, user: NewUser): Promise<UserEntity> {
    const users = manager.getRepository(UserEntity);
    return users.save(users.create({ ...user, disabledAt: null }));
  }

  /** For signing in: the one lookup that knows no tenant yet. */
  public findByEmail(email: string): Promise<UserEntity | null> {
    return this.users.findOneBy({ email: Raw((column) => `lower(${column}) = :email`, { email: normalEmail(email) }) });
  }

  /** For refreshing a token: whose it is decides the tenant. */
  public findById(manager: EntityManager, id: string): Promise<UserEntity | null> {
    return manager.getRepository(UserEntity).findOneBy({ id });
  }

  public find(tenantId: string, id: string): Promise<UserEntity | null> {
    return this.users.findOneBy({ tenantId, id });
  }

  public list(tenantId: string, page: PageQuery): Promise<[UserEntity[], number]> {
    return this.users.findAndCount({
      where: { tenantId },
      order: { createdAt: 'ASC', id: 'ASC' },
      skip: Number(offsetOf(page)),
      take: page.limit,
    });
  }

  public async update(
    manager: EntityManager,
    tenantId: string,
    id: string,
    change: UserChange,
  ): Promise<UserEntity | null> {
    const users = manager.getRepository(UserEntity);
    await users.update({ tenantId, id }, change);
    return users.findOneBy({ tenantId, id });
  }

  public existsPlatformAdmin(manager: EntityManager): Promise<boolean> {
    return manager.getRepository(UserEntity).existsBy({ platformAdmin: true });
  }
}
