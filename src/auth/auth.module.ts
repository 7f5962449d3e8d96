import { Module } from '@nestjs/common';
import { TenantsModule } from '../tenants/tenants.module';
import { UsersModule } from '../users/users.module';
import { AuthController } from './auth.controller';
import { AuthService } from './auth.service';
import { KnownClientsRepository } from './known-clients.repository';
import { LoginLimits } from './login-limits';
import { EnabledTenants } from './oidc/enabled-tenants';
import { OidcScheme } from './oidc/oidc-scheme';
import { RefreshTokensRepository } from './refresh-tokens.repository';

@Module({
  imports: [UsersModule, TenantsModule],
  controllers: [AuthController],
  providers: [AuthService, KnownClientsRepository, LoginLimits, RefreshTokensRepository, EnabledTenants, OidcScheme],
  exports: [KnownClientsRepository],
})
export class AuthModule {}
