import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import type { LoginDto, TokenPairDto } from '../../src/auth/auth.dto';
import { removeDataDir } from './remove-data-dir';
import { Caller } from './caller';
import { artifactDirOf, startTestPostgres } from './postgres';
import { asOneself, postmasterPid, type Runner } from './service-process';
import { waitUntil } from './wait-until';

/** The platform admin that every fresh service has. */
export const platformAdmin: LoginDto = { email: 'root@example.com', password: 'the first password of all' };

export const jwtSecret = 'a secret of the tests that is long enough';

/** How long a start may take on a busy machine. */
const startMs = 120_000;

export interface ServiceOptions {
  /** A fresh one that is removed with the service, unless the test has its own. */
  readonly dataDir?: string;
  /** Without it, the embedded PostgreSQL. */
  readonly databaseUrl?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** How Node is run, for a service of another user. */
  readonly runner?: Runner;
}

/** The built product as a process of its own, on a free port of the loopback. */
export class Service {
  private hasEnded = false;

  private constructor(
    public readonly dataDir: string,
    /** Null: the embedded PostgreSQL. */
    public readonly databaseUrl: string | null,
    private readonly child: ChildProcess,
    /** What it printed: its log, a line each. */
    public readonly output: readonly string[],
    /** Its exit code, or the signal that ended it. */
    public readonly ended: Promise<number | string>,
    private readonly cleanUp: () => Promise<void>,
  ) {
    void ended.then(() => {
      this.hasEnded = true;
    });
  }

  /** Starts it and waits until it is ready. @throws Error with its output when it ends instead */
  public static async start({
    databaseUrl,
    dataDir,
    settings,
    runner = asOneself,
  }: ServiceOptions = {}): Promise<Service> {
    const ownDir = dataDir ?? (await mkdtemp(path.join(tmpdir(), 'image-factory-service-')));
    const child = spawnService(runner, {
      DATA_DIR: ownDir,
      JWT_SECRET: jwtSecret,
      BOOTSTRAP_ADMIN_EMAIL: platformAdmin.email,
      BOOTSTRAP_ADMIN_PASSWORD: platformAdmin.password,
      // Only what is about the limit of requests shall meet it.
      RATE_LIMIT_PER_MINUTE: '1000000',
      // However full the disk of this machine is, layers stay and builds begin.
      CACHE_MAX_DISK_PERCENT: '100',
      MIN_FREE_DISK_MB: '0',
      ...(databaseUrl === undefined ? {} : sharing(databaseUrl)),
      ...settings,
    });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => output.push(line));
    }
    const ended = once(child, 'close').then(() => child.signalCode ?? child.exitCode ?? 'unknown');
    const service = new Service(ownDir, databaseUrl ?? null, child, output, ended, async () => {
      if (dataDir === undefined) await removeDataDir(ownDir);
    });
    try {
      await service.ready();
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    return service;
  }

  /** Starts it on a fresh database of the run's server. */
  public static async startOnServer(options: Omit<ServiceOptions, 'databaseUrl'> = {}): Promise<Service> {
    const database = await startTestPostgres();
    // The only service of its database has its archives in its own directory.
    const settings = { ARTIFACT_DIR: '', ...options.settings };
    const service = await Service.start({ ...options, settings, databaseUrl: database.url });
    const { dataDir, child, output, ended } = service;
    return new Service(dataDir, database.url, child, output, ended, async () => {
      await service.cleanUp();
      await database.stop();
    });
  }

  /** For a client: where it listens, without a slash at its end. */
  public get url(): string {
    return this.address ?? '';
  }

  public get pid(): number {
    return this.child.pid ?? 0;
  }

  /** A client of somebody who signed in. */
  public async signIn(login: LoginDto = platformAdmin): Promise<Caller> {
    const answer = await new Caller(this.url, null).post<TokenPairDto>('/auth/login', login);
    return new Caller(this.url, answer.expect(200).access_token);
  }

  /** Rows of a statement that a test sends past the service, on the run's server. */
  public async sql<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.databaseUrl ?? undefined });
    await client.connect();
    try {
      return (await client.query<Row>(statement, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** Sends a signal and waits for its end. Its data stay. */
  public async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.child.kill(signal);
    return this.ended;
  }

  /** For `afterAll`: ends it, an embedded server that it left included, and removes what was made for it. */
  public async stop(): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
    await this.end();
    clearTimeout(timer);
    await endPostmaster(this.dataDir);
    await this.cleanUp();
  }

  private get address(): string | undefined {
    const line = this.output.find((each) => each.includes('Image Factory serves'));
    return line === undefined ? undefined : (JSON.parse(line) as { readonly url: string }).url;
  }

  private async ready(): Promise<void> {
    const isReady = async (): Promise<boolean> => (await fetch(`${this.url}/health/ready`)).ok;
    await waitUntil(() => this.hasEnded || (this.address !== undefined && isReady()), startMs);
    if (this.hasEnded) throw new Error(`The service ended: ${this.output.join('\n')}`);
  }
}

/** What services on one database have in common. */
function sharing(databaseUrl: string): Record<string, string> {
  const artifactDir = artifactDirOf(databaseUrl);
  return { DATABASE_URL: databaseUrl, ...(artifactDir === undefined ? {} : { ARTIFACT_DIR: artifactDir }) };
}

/** Ends the embedded server that a killed service left below `dataDir`, if there is one. */
export async function endPostmaster(dataDir: string): Promise<void> {
  const pid = postmasterPid(dataDir);
  if (pid === undefined) return;
  process.kill(pid, 'SIGQUIT');
  await waitUntil(() => postmasterPid(dataDir) === undefined);
}

function spawnService({ command, node, repository }: Runner, env: Readonly<Record<string, string>>): ChildProcess {
  const program = path.join('dist', 'src', 'main.js');
  if (!existsSync(path.join(asOneself.repository, program))) throw new Error('Run "npm run build" first.');
  const [file, ...args] = [...command, node, path.join(repository, program)];
  return spawn(file, args, {
    cwd: '/',
    env: { PATH: process.env.PATH, PORT: '0', NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
