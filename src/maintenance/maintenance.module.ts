import { Module } from '@nestjs/common';
import { BuildLogsModule } from '../build-logs/build-logs.module';
import { ExecutionModule } from '../execution/execution.module';
import { EngineJanitor } from './engine-janitor';
import { Janitor } from './janitor';
import { Reaper } from './reaper';

@Module({
  imports: [BuildLogsModule, ExecutionModule],
  providers: [Reaper, Janitor, EngineJanitor],
})
export class MaintenanceModule {}
