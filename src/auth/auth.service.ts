import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { DataSource, type EntityManager } from 'typeorm';
import type { Caller } from '../access/caller';
import type { Identity } from '../access/identity';
import { permissionsOf } from '../access/permission';
import { RequestLimits } from '../access/request-limits';
import { unauthorized } from '../access/unauthorized';
import { AuditLog, type Deed } from '../audit/audit-log';
import type { Visit } from '../audit/visit';
import { ENV, type Env } from '../config/env';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import { TenantsRepository } from '../tenants/tenants.repository';
import { verifyPassword } from '../users/password';
import { toUser } from '../users/user.dto';
import type { UserEntity } from '../users/user.entity';
import { UsersRepository } from '../users/users.repository';
import type { LoginDto, TokenPairDto } from './auth.dto';
import { LoginLimits } from './login-limits';
import { type MeDto, toMe, toOutsideMe } from './me.dto';
import { RefreshTokensRepository } from './refresh-tokens.repository';

@Injectable()
export class AuthService {
  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly dataSource: DataSource,
    private readonly jwt: JwtService,
    private readonly users: UsersRepository,
    private readonly tenants: TenantsRepository,
    private readonly refreshTokens: RefreshTokensRepository,
    private readonly limits: LoginLimits,
    private readonly requestLimits: RequestLimits,
    private readonly audit: AuditLog,
  ) {}

  /**
   * @throws ApiError 401 with one text, after the same work, for an unknown address and for a wrong password; 429 after
   * too many attempts
   */
  public async login({ email, password }: LoginDto, visit: Visit): Promise<TokenPairDto> {
    const client = visit.origin.network ?? '';
    const attempt = { email, client };
    const user = await this.users.findByEmail(email);
    if (user !== null) visit.tries(user);
    await this.limits.admit(attempt);
    const isRight = await verifyPassword(password, user?.passwordHash ?? null, client);
    if (user === null || !isRight || !(await this.isEnabled(user))) {
      throw new ApiError(401, 'The e-mail address or the password is wrong');
    }
    await this.limits.succeeded(attempt, user.id);
    return transact(this.dataSource, async (manager) => {
      const token = await this.refreshTokens.issue(manager, user.id);
      await this.audit.record(manager, visit, { action: 'auth.login', ...doneBy(user) });
      return this.tokens(user, token);
    });
  }

  /**
   * Trades a refresh token for a new pair. A token that comes a second time was stolen: its family is revoked.
   * @throws ApiError 401 for a token that is not good; 429 after too many bad credentials from there, or too many requests of
   * the user
   */
  public async refresh(token: string, visit: Visit): Promise<TokenPairDto> {
    const userId = await this.refreshTokens.userOf(token);
    if (userId !== null) await this.requestLimits.countUse(userId);
    const tokens = await transact(this.dataSource, (manager) => this.refreshIn(manager, visit, token));
    if (tokens !== null) return tokens;
    await this.requestLimits.countRefusal(visit.origin.network ?? '');
    throw new ApiError(401, 'The refresh token is not valid; sign in again');
  }

  public logout(caller: Caller, token: string): Promise<void> {
    const { userId } = caller;
    return transact(this.dataSource, async (manager) => {
      if (!(await this.refreshTokens.revokeFamilyOf(manager, userId, token))) return;
      await this.audit.record(manager, caller, { action: 'auth.logout', resource: { type: 'user', id: userId } });
    });
  }

  public async me(identity: Identity): Promise<MeDto> {
    const { tenantId, userId, signIn } = identity;
    if (signIn.by === 'oidc') {
      return toOutsideMe(identity, { email: signIn.email, name: signIn.name ?? signIn.email ?? signIn.subject });
    }
    const user = await this.users.find(tenantId, userId);
    if (user === null) throw unauthorized();
    return toMe(user, identity);
  }

  /** Null for a token that is not good; what that revokes must be kept. */
  private async refreshIn(manager: EntityManager, visit: Visit, token: string): Promise<TokenPairDto | null> {
    const rotation = await this.refreshTokens.rotate(manager, token);
    if (rotation.kind === 'unknown') return null;
    const user = await this.users.findById(manager, rotation.userId);
    if (user !== null) visit.tries(user);
    if (rotation.kind === 'good' && user !== null && (await this.isEnabled(user, manager))) {
      await this.audit.record(manager, visit, { action: 'auth.refresh', ...doneBy(user) });
      return this.tokens(user, rotation.next);
    }
    const isRevoked = await this.refreshTokens.revokeFamily(manager, rotation.familyId);
    // Told once: a token that nobody can use any more may come for ever.
    if (rotation.kind === 'reused' && isRevoked && user !== null) {
      const resource = { type: 'user', id: user.id } as const;
      await this.audit.record(manager, visit, { action: 'auth.refresh_reused', resource, status: 401 });
    }
    return null;
  }

  private async isEnabled(user: UserEntity, manager?: EntityManager): Promise<boolean> {
    const tenant = await this.tenants.find(user.tenantId, manager);
    return user.disabledAt === null && tenant?.disabledAt === null;
  }

  private tokens(user: UserEntity, refreshToken: string): TokenPairDto {
    const claims = { tenant_id: user.tenantId, permissions: permissionsOf(user.role, user.platformAdmin) };
    const accessToken = this.jwt.sign(claims, {
      algorithm: 'HS256',
      subject: user.id,
      issuer: this.env.JWT_ISSUER,
      audience: this.env.JWT_AUDIENCE,
      expiresIn: this.env.JWT_TTL_SECONDS,
    });
    return {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: this.env.JWT_TTL_SECONDS,
      refresh_token: refreshToken,
      user: toUser(user),
    };
  }
}

/** Of a user who shows by a password or a refresh token who that is. */
function doneBy({ id, tenantId }: UserEntity): Pick<Deed, 'by' | 'resource'> {
  return { by: { userId: id, tenantId }, resource: { type: 'user', id } };
}
