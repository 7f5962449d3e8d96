import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { UsersModule } from '../users/users.module';
import { BootstrapAdmin } from './bootstrap-admin';
import { TenantEntity } from './tenant.entity';
import { TenantsController } from './tenants.controller';
import { TenantsRepository } from './tenants.repository';
import { TenantsService } from './tenants.service';

@Module({
  imports: [TypeOrmModule.forFeature([TenantEntity]), UsersModule],
  controllers: [TenantsController],
  providers: [TenantsRepository, TenantsService, BootstrapAdmin],
  exports: [TenantsRepository],
})
export class TenantsModule {}
