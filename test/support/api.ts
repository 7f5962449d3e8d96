import type { NestExpressApplication } from '@nestjs/platform-express';
import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Pool, types } from 'pg';
import { type Permission, permissions } from '../../src/access/permission';
import { createApp } from '../../src/app';
import { parseEnv } from '../../src/config/env';
import { createLogger } from '../../src/config/logger';
import { Caller } from './caller';
import { startTestPostgres, type TestPostgres } from './postgres';

export const jwtSecret = 'a secret of the tests that is long enough';

/** The platform admin that every fresh application has. */
export const bootstrapAdmin = { email: 'root@example.com', password: 'the first password of all' } as const;

/** Whom a token names. What is left out is made up; without a wish it may do everything. */
export interface TokenWishes {
  readonly userId?: string;
  readonly tenantId?: string;
  readonly permissions?: readonly string[];
}

/** Without the permissions over tenants, which only a platform admin has. */
export const tenantPermissions: readonly Permission[] = permissions.filter((name) => !name.startsWith('tenant:'));

/** The real application on a fresh database and a free port, in this process and in the role `api` alone. */
export class Api {
  private constructor(
    public readonly app: NestExpressApplication,
    public readonly port: number,
    /** As PostgreSQL's administrator, beside the application. */
    private readonly database: Pool,
    private readonly postgres: TestPostgres,
    private readonly dataDir: string,
  ) {}

  public static async start(settings: Readonly<Record<string, string>> = {}): Promise<Api> {
    const postgres = await startTestPostgres();
    const dataDir = await mkdtemp(path.join(tmpdir(), 'image-factory-api-'));
    const env = parseEnv({
      DATABASE_URL: postgres.url,
      DATA_DIR: dataDir,
      ROLES: 'api',
      JWT_SECRET: jwtSecret,
      BOOTSTRAP_ADMIN_EMAIL: bootstrapAdmin.email,
      BOOTSTRAP_ADMIN_PASSWORD: bootstrapAdmin.password,
      LOG_LEVEL: 'silent',
      // Only what is about the limit shall meet it.
      RATE_LIMIT_PER_MINUTE: '1000000',
      ...settings,
    });
    const app = await createApp(env, createLogger(env.LOG_LEVEL));
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const database = new Pool({ connectionString: postgres.adminUrl, max: 4 });
    // Its connections may still be closing when the database is dropped.
    database.on('error', () => undefined);
    return new Api(app, port, database, postgres, dataDir);
  }

  public get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  public async stop(): Promise<void> {
    await this.database.end();
    await this.app.close();
    await this.postgres.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** Takes the database away from under the application. */
  public dropDatabase(): Promise<void> {
    return this.postgres.stop();
  }

  /** Rows of a statement that a test sends past the application. */
  public async sql<Row extends object>(statement: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.database.query<Row>(statement, values);
    return rows;
  }

  /** An access token as a sign-in gives it, without the time that checking a password takes. */
  public token({ userId, tenantId, permissions: granted }: TokenWishes = {}): string {
    const claims = {
      sub: userId ?? randomUUID(),
      tenant_id: tenantId ?? randomUUID(),
      permissions: granted ?? tenantPermissions,
    };
    const options = { algorithm: 'HS256', issuer: 'image-factory', audience: 'image-factory', expiresIn: 900 } as const;
    return this.app.get(JwtService).sign(claims, options);
  }

  /** A client with such a token. */
  public as(wishes: TokenWishes): Caller {
    return new Caller(this.url, this.token(wishes));
  }

  public get anonymous(): Caller {
    return new Caller(this.url, null);
  }
}

/** `count(*)` as a number, as the tests compare it with what the API says. */
types.setTypeParser(types.builtins.INT8, Number);
