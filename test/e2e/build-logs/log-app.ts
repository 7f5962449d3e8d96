import type { INestApplication } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Test } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { DataSource } from 'typeorm';
import { AccessModule } from '../../../src/access/access.module';
import { ApiKeysModule } from '../../../src/api-keys/api-keys.module';
import { AuditModule } from '../../../src/audit/audit.module';
import { BuildLogsModule } from '../../../src/build-logs/build-logs.module';
import { BuildLogsRepository } from '../../../src/build-logs/build-logs.repository';
import { type LogEntry, logEntry } from '../../../src/build-logs/log-entry';
import { LogPublisher } from '../../../src/build-logs/log-publisher';
import { LogStreamDoor } from '../../../src/build-logs/log-stream.door';
import { LOG_STREAM_OPTIONS, logStreamOptions } from '../../../src/build-logs/log-stream-options';
import type { LogStreamOptions } from '../../../src/build-logs/log-stream-options';
import type { LogWriter } from '../../../src/build-logs/log-writer';
import { LogWriters } from '../../../src/build-logs/log-writers';
import { ConfigModule } from '../../../src/config/config.module';
import { parseEnv } from '../../../src/config/env';
import { DatabaseModule } from '../../../src/database/database.module';
import { EventsModule } from '../../../src/events/events.module';
import { HttpModule } from '../../../src/http/http.module';
import { RateLimitsModule } from '../../../src/rate-limits/rate-limits.module';
import { trace } from '../../../src/http/trace.middleware';
import { UpgradeAdapter } from '../../../src/http/upgrade.adapter';

const secret = 'a secret of the tests that is long enough';

export interface LogAppOptions {
  readonly databaseUrl: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stream?: Partial<LogStreamOptions>;
}

/** One replica that serves logs and nothing else. */
export class LogApp {
  private constructor(
    public readonly app: INestApplication,
    public readonly port: number,
  ) {}

  public static async start({ databaseUrl, env = {}, stream = {} }: LogAppOptions): Promise<LogApp> {
    const settings = parseEnv({ DATABASE_URL: databaseUrl, JWT_SECRET: secret, LOG_LEVEL: 'silent', ...env });
    const testing = await Test.createTestingModule({
      imports: [
        ConfigModule.with(settings),
        ...[
          EventsModule,
          DatabaseModule,
          HttpModule,
          RateLimitsModule,
          AccessModule,
          AuditModule,
          ApiKeysModule,
          BuildLogsModule,
        ],
      ],
    })
      .overrideProvider(LOG_STREAM_OPTIONS)
      .useValue({ ...logStreamOptions, ...stream })
      .compile();
    const app = testing.createNestApplication();
    app.useLogger(false);
    app.setGlobalPrefix('api/v1');
    app.use(trace);
    app.useWebSocketAdapter(new UpgradeAdapter(app, [app.get(LogStreamDoor)]));
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    return new LogApp(app, port);
  }

  public get repository(): BuildLogsRepository {
    return this.app.get(BuildLogsRepository);
  }

  public get publisher(): LogPublisher {
    return this.app.get(LogPublisher);
  }

  public get source(): DataSource {
    return this.app.get(DataSource);
  }

  public async stop(): Promise<void> {
    await this.app.close();
  }

  /** An access token; without wishes, of somebody who may read builds for a minute. */
  public token(
    tenantId: string,
    { permissions = ['build:read'], seconds = 60 }: { permissions?: string[]; seconds?: number } = {},
  ): string {
    return this.app
      .get(JwtService)
      .sign(
        { sub: randomUUID(), tenant_id: tenantId, permissions },
        { algorithm: 'HS256', issuer: 'image-factory', audience: 'image-factory', expiresIn: seconds },
      );
  }

  public async createLog(tenantId: string): Promise<string> {
    const buildId = randomUUID();
    await this.repository.create(this.source.manager, buildId, tenantId);
    return buildId;
  }

  /** A writer under a new lease, as a worker has after its claim. */
  public async openWriter(buildId: string): Promise<LogWriter> {
    const token = randomUUID();
    await this.repository.setWriter(this.source.manager, buildId, token);
    return this.app.get(LogWriters).open(buildId, token);
  }

  public async finish(writer: LogWriter, outcome: string, last: readonly LogEntry[]): Promise<void> {
    await writer.drain();
    this.publisher.publish(await this.source.transaction((manager) => writer.finish(manager, outcome, last)));
  }

  /** Stores and publishes lines that are written by the API. */
  public async append(buildId: string, ...messages: string[]): Promise<void> {
    const entries = messages.map((message) => logEntry('INFO', message));
    this.publisher.publish(await this.repository.append(this.source.manager, buildId, entries));
  }

  public async close(buildId: string, outcome: string, ...messages: string[]): Promise<void> {
    const entries = messages.map((message) => logEntry('INFO', message));
    this.publisher.publish(await this.repository.close(this.source.manager, buildId, outcome, entries));
  }

  public async get(path: string, token: string): Promise<{ status: number; body: unknown; type: string | null }> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1${path}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    return { status: response.status, body: await response.json(), type: response.headers.get('content-type') };
  }

  public streamUrl(buildId: string, offset?: number): string {
    const query = offset === undefined ? '' : `?offset=${offset}`;
    return `ws://127.0.0.1:${this.port}/api/v1/builds/${buildId}/logs/stream${query}`;
  }
}
