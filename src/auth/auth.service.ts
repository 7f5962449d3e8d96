import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import type { Identity } from '../access/identity';
import { permissionsOf } from '../access/permission';
import { unauthorized } from '../access/unauthorized';
import { ENV, type Env } from '../config/env';
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
    private readonly jwt: JwtService,
    private readonly users: UsersRepository,
    private readonly tenants: TenantsRepository,
    private readonly refreshTokens: RefreshTokensRepository,
    private readonly limits: LoginLimits,
  ) {}

  /**
   * @param client the network that asks
   * @throws ApiError 401 with one text, after the same work, for an unknown address and for a wrong password; 429 after
   * too many attempts
   */
  public async login({ email, password }: LoginDto, client: string): Promise<TokenPairDto> {
    const attempt = { email, client };
    await this.limits.admit(attempt);
    const user = await this.users.findByEmail(email);
    const isRight = await verifyPassword(password, user?.passwordHash ?? null);
    if (user === null || !isRight || !(await this.isEnabled(user))) {
      throw new ApiError(401, 'The e-mail address or the password is wrong');
    }
    await this.limits.succeeded(attempt);
    return this.tokens(user, await this.refreshTokens.issue(user.id));
  }

  /** Trades a refresh token for a new pair. A token that comes a second time was stolen: its family is revoked. */
  public async refresh(token: string): Promise<TokenPairDto> {
    const rotation = await this.refreshTokens.rotate(token);
    if (rotation.kind === 'reused') await this.refreshTokens.revokeFamily(rotation.familyId);
    if (rotation.kind !== 'good') throw this.refused();
    const user = await this.users.findById(rotation.userId);
    if (user === null || !(await this.isEnabled(user))) {
      await this.refreshTokens.revokeFamily(rotation.familyId);
      throw this.refused();
    }
    return this.tokens(user, rotation.next);
  }

  public logout({ userId }: Identity, token: string): Promise<void> {
    return this.refreshTokens.revokeFamilyOf(userId, token);
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

  private refused(): ApiError {
    return new ApiError(401, 'The refresh token is not valid; sign in again');
  }

  private async isEnabled(user: UserEntity): Promise<boolean> {
    const tenant = await this.tenants.find(user.tenantId);
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
