// The smallest service: the database's module and one feature that still uses it while shutting down. It serves tests
// that must kill a process. Prints lines of JSON: the address when it is up, and what the feature read at the end.
import 'reflect-metadata';
import {
  ConsoleLogger,
  Injectable,
  Module,
  type NestApplicationOptions,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { ConfigModule } from '../../src/config/config.module';
import { parseEnv } from '../../src/config/env';
import { DATABASE_ADDRESS, type DatabaseAddress } from '../../src/database/database-address';
import { DatabaseModule } from '../../src/database/database.module';
import { StartError } from '../../src/config/start-error';
import { query } from '../../src/database/query';

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

@Injectable()
class LastWords implements OnApplicationShutdown {
  public constructor(private readonly dataSource: DataSource) {}

  public async onApplicationShutdown(): Promise<void> {
    const [row] = await query<{ tenants: number }>(this.dataSource, 'SELECT count(*)::int AS tenants FROM tenants');
    print({ atShutdown: row });
  }
}

@Module({ providers: [LastWords] })
class Feature {}

@Module({ imports: [ConfigModule.with(parseEnv(process.env)), DatabaseModule, Feature] })
class Application {}

async function main(): Promise<void> {
  const options: NestApplicationOptions = {
    abortOnError: false,
    logger: new ConsoleLogger({ logLevels: ['warn', 'error'] }),
  };
  const app = await NestFactory.create(Application, options);
  await app.init();
  // Nothing else ends the process: it exits when everything that it opened is closed.
  process.once('SIGTERM', () => void app.close());
  print({ url: app.get<DatabaseAddress>(DATABASE_ADDRESS).url });
}

main().catch((error: unknown) => {
  // Nest has printed it.
  process.exitCode = error instanceof StartError ? 1 : 2;
});
