import { type DynamicModule, Global, Module } from '@nestjs/common';
import { ENV, type Env } from './env';
import { Lifetime } from './lifetime';
import { STOP_SIGNAL } from './stop-signal';

/** Gives every room the settings that were parsed once, before the application was made, and the word of its end. */
@Global()
@Module({})
export class ConfigModule {
  public static with(env: Env, lifetime = new Lifetime()): DynamicModule {
    return {
      module: ConfigModule,
      providers: [
        { provide: ENV, useValue: env },
        { provide: Lifetime, useValue: lifetime },
        { provide: STOP_SIGNAL, useValue: lifetime.stop },
      ],
      exports: [ENV, Lifetime, STOP_SIGNAL],
    };
  }
}
