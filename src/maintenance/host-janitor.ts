import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { ENV, type Env } from '../config/env';
import { IMAGE_BUILDER, type ImageBuilder } from '../execution/image-builder';
import { Workspaces } from '../execution/workspaces';
import { LayerUpkeep } from './layer-upkeep';
import { Rounds } from './rounds';

const intervalMs = 10_000;

/**
 * Clears up on the host of a worker: what killed workers left, and layers that are not needed. To free a big tree takes
 * its time, so that is done beside the rest.
 */
@Injectable()
export class HostJanitor implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private readonly all: readonly Rounds[];

  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) builder: ImageBuilder,
    workspaces: Workspaces,
    layers: LayerUpkeep,
  ) {
    const logger = new Logger(HostJanitor.name);
    const { signal } = this.stopping;
    const once = (task: () => Promise<void>) => () => task().then(() => false);
    const left = [
      { complaint: 'Workspaces could not be cleared', part: once(() => workspaces.sweep(signal)) },
      { complaint: 'What the engine left could not be cleared', part: once(() => builder.sweep(signal)) },
    ];
    const unneeded = [
      { complaint: 'Unused layers could not be dropped', part: once(() => layers.dropUnused()) },
      { complaint: 'The disk gets full', part: () => layers.dropForSpace(signal) },
    ];
    this.all = [new Rounds(left, logger), new Rounds(unneeded, logger)];
  }

  public onApplicationBootstrap(): void {
    if (!this.env.ROLES.includes('worker')) return;
    for (const rounds of this.all) rounds.start(intervalMs);
  }

  public async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.all.map((rounds) => rounds.stop()));
  }
}
