import { Module } from '@nestjs/common';
import { BuildLogsModule } from '../build-logs/build-logs.module';
import { BuildsModule } from '../builds/builds.module';
import { ENV, type Env } from '../config/env';
import { ArtifactStore } from './artifact-store';
import { BuildImageController } from './build-image.controller';
import { BuildQueueRepository } from './build-queue.repository';
import { BuildRunner } from './build-runner';
import { DiskGuard } from './disk-guard';
import { BuildahBuilder } from './buildah/buildah-builder';
import { Cage } from './cage/cage';
import { IMAGE_BUILDER } from './image-builder';
import { InstallationRepository } from './installation.repository';
import { operatorMask } from './operator-mask';
import { SecretsModule } from '../secrets/secrets.module';
import { StoreMarker } from './store-marker';
import { Worker } from './worker';
import { Workspaces } from './workspaces';

@Module({
  imports: [BuildsModule, BuildLogsModule, SecretsModule],
  controllers: [BuildImageController],
  providers: [
    {
      provide: Cage,
      inject: [ENV],
      useFactory: (env: Env) =>
        new Cage({
          buildUser: env.BUILD_USER,
          dataDir: env.DATA_DIR,
          hidden: [env.ARTIFACT_DIR, ...(env.REGISTRY_AUTH_FILE === undefined ? [] : [env.REGISTRY_AUTH_FILE])],
          egress: { allow: env.BUILD_EGRESS_ALLOW, nameServers: env.BUILD_DNS },
          limits: { memoryMb: env.BUILD_MEMORY_MB, pids: env.BUILD_PIDS },
          mask: () => operatorMask(env),
        }),
    },
    {
      provide: IMAGE_BUILDER,
      inject: [ENV, Cage],
      useFactory: (env: Env, cage: Cage) =>
        new BuildahBuilder({
          cage,
          dataDir: env.DATA_DIR,
          authFile: env.REGISTRY_AUTH_FILE ?? null,
          insecureRegistries: env.REGISTRY_INSECURE,
        }),
    },
    ArtifactStore,
    BuildQueueRepository,
    BuildRunner,
    DiskGuard,
    InstallationRepository,
    StoreMarker,
    Workspaces,
    Worker,
  ],
  exports: [IMAGE_BUILDER, ArtifactStore, BuildQueueRepository, DiskGuard, StoreMarker, Workspaces],
})
export class ExecutionModule {}
