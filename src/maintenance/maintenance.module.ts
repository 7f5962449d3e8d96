import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { BuildLogsModule } from '../build-logs/build-logs.module';
import { ExecutionModule } from '../execution/execution.module';
import { ArchiveUpkeep } from './archive-upkeep';
import { HostJanitor } from './host-janitor';
import { Janitor } from './janitor';
import { LayerUpkeep } from './layer-upkeep';
import { Reaper } from './reaper';

@Module({
  imports: [AuthModule, BuildLogsModule, ExecutionModule],
  providers: [Reaper, Janitor, ArchiveUpkeep, HostJanitor, LayerUpkeep],
})
export class MaintenanceModule {}
