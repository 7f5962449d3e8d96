import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { BuildLogsModule } from '../build-logs/build-logs.module';
import { ProjectsModule } from '../projects/projects.module';
import { BuildEntity } from './build.entity';
import { BuildsController } from './builds.controller';
import { BuildsRepository } from './builds.repository';
import { BuildsService } from './builds.service';
import { ProjectDeletionController } from './project-deletion.controller';

@Module({
  imports: [TypeOrmModule.forFeature([BuildEntity]), ProjectsModule, BuildLogsModule],
  controllers: [BuildsController, ProjectDeletionController],
  providers: [BuildsRepository, BuildsService],
  exports: [BuildsRepository],
})
export class BuildsModule {}
