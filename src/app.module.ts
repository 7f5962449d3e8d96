import { type DynamicModule, Module } from '@nestjs/common';
import { AccessModule } from './access/access.module';
import { ApiKeysModule } from './api-keys/api-keys.module';
import { AuditModule } from './audit/audit.module';
import { AuthModule } from './auth/auth.module';
import { BuildLogsModule } from './build-logs/build-logs.module';
import { BuildStatusModule } from './build-status/build-status.module';
import { BuildsModule } from './builds/builds.module';
import { ConfigModule } from './config/config.module';
import type { Env } from './config/env';
import type { Lifetime } from './config/lifetime';
import { DatabaseModule } from './database/database.module';
import { EventsModule } from './events/events.module';
import { ExecutionModule } from './execution/execution.module';
import { HealthModule } from './health/health.module';
import { HttpModule } from './http/http.module';
import { MaintenanceModule } from './maintenance/maintenance.module';
import { ProjectsModule } from './projects/projects.module';
import { RateLimitsModule } from './rate-limits/rate-limits.module';
import { SecretsModule } from './secrets/secrets.module';
import { TenantsModule } from './tenants/tenants.module';
import { UsersModule } from './users/users.module';

@Module({})
export class AppModule {
  public static with(env: Env, lifetime: Lifetime): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.with(env, lifetime),
        DatabaseModule,
        EventsModule,
        HttpModule,
        RateLimitsModule,
        AccessModule,
        AuditModule,
        UsersModule,
        TenantsModule,
        AuthModule,
        ApiKeysModule,
        BuildLogsModule,
        ProjectsModule,
        SecretsModule,
        BuildsModule,
        BuildStatusModule,
        ExecutionModule,
        MaintenanceModule,
        HealthModule,
      ],
    };
  }
}
