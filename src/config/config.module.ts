import { type DynamicModule, Global, Module } from '@nestjs/common';
import { ENV, type Env } from './env';
import { STOP_SIGNAL } from './stop-signal';

/** Gives every room the settings that were parsed once, before the application was made. */
@Global()
@Module({})
export class ConfigModule {
  public static with(env: Env, stop: AbortSignal = new AbortController().signal): DynamicModule {
    return {
      module: ConfigModule,
      providers: [
        { provide: ENV, useValue: env },
        { provide: STOP_SIGNAL, useValue: stop },
      ],
      exports: [ENV, STOP_SIGNAL],
    };
  }
}
