// A worker of the product whose checkout is an empty directory and whose engine sleeps a second: what is left is what
// workers do with the database. Says when it takes builds; ends at a signal.
import { Test } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppModule } from '../../src/app.module';
import { type Env, parseEnv } from '../../src/config/env';
import { Lifetime } from '../../src/config/lifetime';
import { type BuiltImage, IMAGE_BUILDER, type ImageBuild, type ImageBuilder } from '../../src/execution/image-builder';
import { type Workspace, Workspaces } from '../../src/execution/workspaces';

const buildMs = 1_000;

class SleepingEngine implements ImageBuilder {
  public async build({ buildId, imageRepository }: ImageBuild): Promise<BuiltImage> {
    await sleep(buildMs);
    return { digest: `sha256:${'0'.repeat(64)}`, reference: `${imageRepository ?? 'image'}:${buildId}` };
  }

  public dirsOf(): ReturnType<ImageBuilder['dirsOf']> {
    return Promise.resolve({ own: [], shared: '', layers: [] });
  }

  public check(): Promise<void> {
    return Promise.resolve();
  }

  public describe(): Promise<string[]> {
    return Promise.resolve([]);
  }

  public keptProjects(): Promise<never[]> {
    return Promise.resolve([]);
  }

  public setAside(): Promise<void> {
    return Promise.resolve();
  }

  public sweep(): Promise<void> {
    return Promise.resolve();
  }
}

/** Workspaces without git. */
function emptyWorkspaces({ DATA_DIR: dataDir }: Env): Pick<Workspaces, 'open' | 'sweep'> {
  return {
    open: async (buildId): Promise<Workspace> => {
      const checkoutDir = path.join(dataDir, `${buildId}.${randomUUID()}`);
      await mkdir(checkoutDir, { recursive: true });
      return {
        checkoutDir,
        checkOut: () => Promise.resolve({ commit: 'c'.repeat(40), authorName: null, authorEmail: null }),
        remove: () => rm(checkoutDir, { recursive: true }),
      };
    },
    sweep: () => Promise.resolve(),
  };
}

async function main(): Promise<void> {
  const env = parseEnv(process.env);
  const module = await Test.createTestingModule({ imports: [AppModule.with(env, new Lifetime())] })
    .overrideProvider(IMAGE_BUILDER)
    .useValue(new SleepingEngine())
    .overrideProvider(Workspaces)
    .useValue(emptyWorkspaces(env))
    .compile();
  module.useLogger(['error', 'warn']);
  await module.init();
  process.once('SIGTERM', () => {
    void module.close().then(() => process.exit());
  });
  process.send?.('ready');
}

void main();
