import { Module } from '@nestjs/common';
import { ENV, type Env } from '../config/env';
import { ProjectsModule } from '../projects/projects.module';
import { SecretBox } from './secret-box';
import { loadSecretKeys } from './secret-keys';
import { SecretVault } from './secret-vault';
import { SecretsController } from './secrets.controller';
import { SecretsRepository } from './secrets.repository';
import { SecretsService } from './secrets.service';

@Module({
  imports: [ProjectsModule],
  controllers: [SecretsController],
  providers: [
    { provide: SecretBox, inject: [ENV], useFactory: async (env: Env) => new SecretBox(await loadSecretKeys(env)) },
    SecretsRepository,
    SecretsService,
    SecretVault,
  ],
  exports: [SecretVault],
})
export class SecretsModule {}
