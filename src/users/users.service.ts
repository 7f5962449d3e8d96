import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Identity } from '../access/identity';
import { isUniqueViolation } from '../database/database-errors';
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
  public constructor(private readonly users: UsersRepository) {}

  public async create({ tenantId }: Identity, { email, password, name, role }: CreateUserDto): Promise<UserDto> {
    const passwordHash = await hashPassword(password);
    return toUser(await this.open({ tenantId, email, passwordHash, name, role, platformAdmin: false }));
  }

  /** @throws ApiError 409 when the e-mail address has an account already, in whichever tenant. */
  public async open(account: NewUser, manager?: EntityManager): Promise<UserEntity> {
    try {
      return await this.users.insert(account, manager);
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
    const changed = await this.users.update(identity.tenantId, id, change);
    if (changed === null) throw notFound();
    return toUser(changed);
  }
}
