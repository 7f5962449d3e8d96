import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { Identity } from '../access/identity';
import { AuditLog } from '../audit/audit-log';
import { isUniqueViolation } from '../database/database-errors';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import { pageOf, type PageQuery } from '../http/page';
import { hashPassword } from './password';
import { type CreateUserDto, type UpdateUserDto, type UserDto, type UserListDto, toUser } from './user.dto';
import type { UserEntity } from './user.entity';
import { type NewUser, type UserChange, UsersRepository } from './users.repository';

function notFound(): ApiError {
  return new ApiError(404, 'User not found');
}

@Injectable()
export class UsersService {
  public constructor(
    private readonly dataSource: DataSource,
    private readonly users: UsersRepository,
    private readonly audit: AuditLog,
  ) {}

  public async create({ tenantId }: Identity, { email, password, name, role }: CreateUserDto): Promise<UserDto> {
    const passwordHash = await hashPassword(password);
    return transact(this.dataSource, async (manager) => {
      const user = await this.open(manager, { tenantId, email, passwordHash, name, role, platformAdmin: false });
      await this.audit.record(manager, {
        action: 'user.create',
        resource: { type: 'user', id: user.id },
        details: { role },
      });
      return toUser(user);
    });
  }

  /** @throws ApiError 409 when the e-mail address has an account already, in whichever tenant. */
  public async open(manager: EntityManager, account: NewUser): Promise<UserEntity> {
    try {
      return await this.users.insert(manager, account);
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key')) {
        throw new ApiError(409, 'This e-mail address has an account already', { email: 'is taken' }, { cause: error });
      }
      throw error;
    }
  }

  public async list({ tenantId }: Identity, page: PageQuery): Promise<UserListDto> {
    const [users, total] = await this.users.list(tenantId, page);
    return {
      users: users.map(toUser),
      ...pageOf(page, total),
    };
  }

  public async update(identity: Identity, id: string, { role, disabled }: UpdateUserDto): Promise<UserDto> {
    const change: UserChange = {
      ...(role === undefined ? {} : { role }),
      ...(disabled === undefined ? {} : { disabledAt: disabled ? new Date() : null }),
    };
    if (id === identity.userId && Object.keys(change).length > 0) {
      throw new ApiError(409, 'You cannot change your own role or disable yourself; ask another admin');
    }
    const user = await this.users.find(identity.tenantId, id);
    if (user === null) throw notFound();
    if (Object.keys(change).length === 0) return toUser(user);
    if (user.platformAdmin && !identity.permissions.has('tenant:update')) {
      throw new ApiError(403, 'Only a platform admin may change a platform admin');
    }
    return transact(this.dataSource, async (manager) => {
      const changed = await this.users.update(manager, identity.tenantId, id, change);
      if (changed === null) throw notFound();
      await this.audit.record(manager, {
        action: 'user.update',
        resource: { type: 'user', id },
        details: { ...(role === undefined ? {} : { role }), ...(disabled === undefined ? {} : { disabled }) },
      });
      return toUser(changed);
    });
  }
}
