import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ENV, type Env } from '../config/env';
import { STOP_SIGNAL } from '../config/stop-signal';
import { DATABASE_ADDRESS, type DatabaseAddress } from './database-address';
import { DatabaseServer } from './database-server';
import { dataSourceOptions } from './data-source-options';
import { Notifications } from './notifications';

/**
 * The database, migrated before anything else can use it. Import it before every other module that uses it: Nest
 * shuts modules down in the reverse order, global ones last, and a module's own class after its providers, so the
 * embedded server stops when all others have closed their connections.
 */
@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [DATABASE_ADDRESS],
      useFactory: ({ url }: DatabaseAddress) => ({
        ...dataSourceOptions(url),
        autoLoadEntities: true,
        retryAttempts: 1,
      }),
    }),
  ],
  providers: [
    {
      provide: DatabaseServer,
      inject: [ENV, STOP_SIGNAL],
      useFactory: (env: Env, stop: AbortSignal) => DatabaseServer.open(env, stop),
    },
    { provide: DATABASE_ADDRESS, useExisting: DatabaseServer },
    Notifications,
  ],
  exports: [DATABASE_ADDRESS, Notifications, TypeOrmModule],
})
export class DatabaseModule implements OnApplicationShutdown {
  public constructor(private readonly server: DatabaseServer) {}

  public async onApplicationShutdown(): Promise<void> {
    await this.server.stop();
  }
}
