import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { BuildLogChunkEntity } from './build-log-chunk.entity';
import { BuildLogEntity } from './build-log.entity';
import { BuildLogsController } from './build-logs.controller';
import { BuildLogsRepository } from './build-logs.repository';
import { BuildLogsService } from './build-logs.service';
import { LogHub } from './log-hub';
import { LogPublisher } from './log-publisher';
import { LogStreamDoor } from './log-stream.door';
import { LogStreamGateway } from './log-stream.gateway';
import { LOG_STREAM_OPTIONS, logStreamOptions } from './log-stream-options';
import { LogUpkeepRepository } from './log-upkeep.repository';
import { LogWriters } from './log-writers';

/** Keeps every line of every build, and serves them by page and live. */
@Module({
  imports: [TypeOrmModule.forFeature([BuildLogEntity, BuildLogChunkEntity])],
  controllers: [BuildLogsController],
  providers: [
    BuildLogsRepository,
    BuildLogsService,
    LogUpkeepRepository,
    LogPublisher,
    LogWriters,
    LogHub,
    LogStreamDoor,
    LogStreamGateway,
    { provide: LOG_STREAM_OPTIONS, useValue: logStreamOptions },
  ],
  exports: [BuildLogsRepository, LogUpkeepRepository, LogPublisher, LogWriters],
})
export class BuildLogsModule {}
