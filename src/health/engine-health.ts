import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { ENV, type Env } from '../config/env';
import { IMAGE_BUILDER, type ImageBuilder } from '../execution/image-builder';

/** Asks the engine of a worker; a process that is no worker needs none. */
@Injectable()
export class EngineHealth {
  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) private readonly builder: ImageBuilder,
    private readonly indicator: HealthIndicatorService,
  ) {}

  public async check(): Promise<HealthIndicatorResult> {
    if (!this.env.ROLES.includes('worker')) return {};
    const engine = this.indicator.check('engine');
    try {
      await this.builder.check();
      return engine.up();
    } catch (error) {
      return engine.down(error instanceof Error ? error.message : 'does not answer');
    }
  }
}
