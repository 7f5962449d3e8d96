import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import type { TestServerOptions } from './postgres-server';

/** Where the server of the run is, for the workers of Jest, which inherit the environment. */
const variable = 'TEST_POSTGRES_URL';

/** A directory that is removed with the server of the run. */
const directoryVariable = 'TEST_RUN_DIR';

/** A fresh, migrated database of one test file. */
export interface TestPostgres {
  /** For `DATABASE_URL`: the user is the service's own, who is no administrator. */
  readonly url: string;
  /** The same database as PostgreSQL's administrator. */
  readonly adminUrl: string;
  /** Drops the database; connections that are left in it are cut. */
  stop(): Promise<void>;
}

/** Copies the migrated database of the run's server, which takes some 50 ms. Stop it in `afterAll`. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const run = process.env[variable];
  if (run === undefined) throw new Error('The run has no PostgreSQL server: this test belongs to the project "e2e".');
  const name = `test_${randomBytes(8).toString('hex')}`;
  const admin = addressWith(run, 'postgres', 'postgres');
  await execute(admin, `CREATE DATABASE ${name} TEMPLATE image_factory OWNER image_factory`);
  return {
    url: addressWith(run, name, 'image_factory'),
    adminUrl: addressWith(run, name, 'postgres'),
    stop: () => execute(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/**
 * The directory in which all services on this database keep their archives, as an installation has one; it is removed
 * after the run. Undefined outside of a run of Jest.
 */
export function artifactDirOf(databaseUrl: string): string | undefined {
  const directory = process.env[directoryVariable];
  const name = createHash('sha256').update(databaseUrl).digest('hex').slice(0, 16);
  return directory === undefined ? undefined : path.join(directory, 'artifacts', name);
}

/** A server in a process that ends with its `stdin`. */
export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  readonly child: ChildProcess;
}

/** Starts the server of the run and tells the workers where it is. */
export async function startRunServer(): Promise<ChildProcess> {
  const { url, dataDir, child } = await startServer();
  process.env[variable] = url;
  process.env[directoryVariable] = dataDir;
  return child;
}

/** Starts a server, on files in `dataDir` or a fresh directory, with a migrated database. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const register = path.join(__dirname, 'register.cjs');
  const script = path.join(__dirname, 'postgres-server.ts');
  const child = spawn(process.execPath, ['-r', register, script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url, dataDir } = JSON.parse(line) as { url: string; dataDir: string };
    return { url, dataDir, child };
  }
  throw new Error('The PostgreSQL server of the tests did not start.');
}

export async function stopRunServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.end();
  await once(child, 'exit');
}

export function addressWith(address: string, database: string, user: string): string {
  const url = new URL(address);
  url.pathname = `/${database}`;
  url.searchParams.set('user', user);
  return url.href;
}

export async function execute(address: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: address });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
