import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { Caller } from '../access/caller';
import type { Identity } from '../access/identity';
import { permissionsOf, type Role } from '../access/permission';
import { AuditLog } from '../audit/audit-log';
import { isUniqueViolation } from '../database/database-errors';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import { pageOf, type PageQuery } from '../http/page';
import { hashPassword } from './password';
import { type CreateUserDto, type UpdateUserDto, type UserDto, type UserListDto, toUser } from './user.dto';
import type { UserEntity } from './user.entity';
import { type NewUser, type UserChange, UsersRepository } from './users.repository';

function taken(cause?: unknown): ApiError {
  return new ApiError(409, 'This e-mail address has an account already', { email: 'is taken' }, { cause });
}

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

  public async create(caller: Caller, { email, password, name, role }: CreateUserDto): Promise<UserDto> {
    const { tenantId } = caller;
    await this.requirePermissionsOf(caller, role);
    // To hash a password takes long; not for what cannot be stored.
    if ((await this.users.findByEmail(email)) !== null) throw taken();
    const passwordHash = await hashPassword(password, tenantId);
    return transact(this.dataSource, async (manager) => {
      const user = await this.open(manager, { tenantId, email, passwordHash, name, role, platformAdmin: false });
      await this.audit.record(manager, caller, {
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
        throw taken(error);
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

  public async update(caller: Caller, id: string, { role, disabled }: UpdateUserDto): Promise<UserDto> {
    const change: UserChange = {
      ...(role === undefined ? {} : { role }),
      ...(disabled === undefined ? {} : { disabledAt: disabled ? new Date() : null }),
    };
    if (id === caller.userId && Object.keys(change).length > 0) {
      throw new ApiError(409, 'You cannot change your own role or disable yourself; ask another admin');
    }
    const user = await this.users.find(caller.tenantId, id);
    if (user === null) throw notFound();
    if (Object.keys(change).length === 0) return toUser(user);
    if (user.platformAdmin && !caller.permissions.has('tenant:update')) {
      throw new ApiError(403, 'Only a platform admin may change a platform admin');
    }
    await this.requirePermissionsOf(caller, user.role, role ?? user.role);
    return transact(this.dataSource, async (manager) => {
      const changed = await this.users.update(manager, caller.tenantId, id, change);
      if (changed === null) throw notFound();
      await this.audit.record(manager, caller, {
        action: 'user.update',
        resource: { type: 'user', id },
        details: { ...(role === undefined ? {} : { role }), ...(disabled === undefined ? {} : { disabled }) },
      });
      return toUser(changed);
    });
  }

  /**
   * Nobody gives or takes more than they may themselves, such as a machine that may create users and nothing else. Of who
   * signed in with a password it counts what they may now: their tokens live on for a while.
   */
  private async requirePermissionsOf(identity: Identity, ...wanted: readonly Role[]): Promise<void> {
    const missing = new Set<string>(wanted.flatMap((role) => permissionsOf(role, false)));
    for (const permission of identity.permissions) missing.delete(permission);
    if (missing.size > 0) {
      throw new ApiError(403, 'You may manage users who may do at most what you may', {
        role: `may do what you may not: ${[...missing].join(', ')}`,
      });
    }
    const self = identity.signIn.by === 'password' ? await this.users.find(identity.tenantId, identity.userId) : null;
    if (self === null) return;
    const own = self.disabledAt === null ? permissionsOf(self.role, self.platformAdmin) : [];
    const isStill = wanted
      .flatMap((role) => permissionsOf(role, false))
      .every((permission) => own.includes(permission));
    if (!isStill) throw new ApiError(403, 'You may no longer manage these users; sign in again');
  }
}
