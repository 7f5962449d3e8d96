import { Module } from '@nestjs/common';
import { BuildStatusController } from './build-status.controller';
import { BuildStatusRepository } from './build-status.repository';
import { BuildStatusService } from './build-status.service';

@Module({
  controllers: [BuildStatusController],
  providers: [BuildStatusRepository, BuildStatusService],
})
export class BuildStatusModule {}
