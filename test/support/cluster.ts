import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './free-port';
import { startTestPostgres } from './postgres';
import { removeDataDir } from './remove-data-dir';
import { Service, type ServiceOptions } from './service';

export interface ClusterOptions {
  /** Processes of the role `api` alone. */
  readonly apis: number;
  /** Processes of the role `worker` alone. */
  readonly workers: number;
  /** Of all processes, over the cluster's own: a lease of 5 s, two slots a worker. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Without it, a fresh database of the run's server that is dropped at the end. */
  readonly databaseUrl?: string;
}

/** One place of a cluster, at which one process after another runs: same address, same data directory, same settings. */
export class Replica {
  private current: Service | undefined;
  private readonly exits: (number | string)[] = [];

  public constructor(
    public readonly role: 'api' | 'worker',
    /** Where it listens while it runs, without a slash at its end. */
    public readonly url: string,
    public readonly dataDir: string,
    private readonly options: Omit<ServiceOptions, 'dataDir'>,
  ) {}

  /** The process that runs here, or ran last. @throws Error before the first start */
  public get service(): Service {
    if (this.current === undefined) throw new Error(`No ${this.role} was started at ${this.url}`);
    return this.current;
  }

  /** How the processes that ended here did: exit codes, or the signals that ended them, the first one first. */
  public get endings(): readonly (number | string)[] {
    return this.exits;
  }

  /** Starts a process and waits until it is ready. */
  public async start(): Promise<void> {
    this.current = await Service.start({ ...this.options, dataDir: this.dataDir });
  }

  /** Sends the signal to the process and waits for its end: its exit code, or the signal that ended it. */
  public async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    const ending = await this.service.end(signal);
    this.exits.push(ending);
    return ending;
  }

  /** Lets the process shut down, and starts the next one; resolves with the exit code of the old. */
  public async replace(): Promise<number | string> {
    const ending = await this.end();
    await this.start();
    return ending;
  }

  /** Kills the process with -9. `start` brings the next one. */
  public async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** For the end of a test: ends the process, however stubborn, if there is one. */
  public async stop(): Promise<void> {
    await this.current?.stop();
  }
}

/** Several API replicas and workers on one database and one ARTIFACT_DIR: processes of the built product. */
export class Cluster {
  private constructor(
    public readonly databaseUrl: string,
    public readonly apis: readonly Replica[],
    public readonly workers: readonly Replica[],
    /** Below it is all that its processes keep. */
    public readonly root: string,
    private readonly dropDatabase: () => Promise<void>,
  ) {}

  /** Starts all, the first one alone: it makes the first accounts. Ends what was started when one does not start. */
  public static async start({ apis, workers, settings, databaseUrl }: ClusterOptions): Promise<Cluster> {
    const database =
      databaseUrl === undefined
        ? await startTestPostgres()
        : { url: databaseUrl, stop: (): Promise<void> => Promise.resolve() };
    const root = await mkdtemp(path.join(tmpdir(), 'image-factory-cluster-'));
    const make = (role: Replica['role'], count: number): Promise<Replica[]> =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const port = await freePort();
          return new Replica(role, `http://127.0.0.1:${port}`, path.join(root, `${role}-${index}`), {
            databaseUrl: database.url,
            settings: {
              ROLES: role,
              PORT: String(port),
              ARTIFACT_DIR: artifactsBelow(root),
              LEASE_SECONDS: '5',
              WORKER_SLOTS: '2',
              ...settings,
            },
          });
        }),
      );
    const members = [await make('api', apis), await make('worker', workers)] as const;
    const cluster = new Cluster(database.url, ...members, root, () => database.stop());
    try {
      const [first, ...others] = [...cluster.apis, ...cluster.workers];
      await first?.start();
      await Promise.all(others.map((replica) => replica.start()));
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The API replica of this number. */
  public api(index: number): Replica {
    return at(this.apis, index);
  }

  public worker(index: number): Replica {
    return at(this.workers, index);
  }

  /** The address of an API replica, also while it is down. */
  public url(index: number): string {
    return this.api(index).url;
  }

  /** Where all of them keep the archives. */
  public get artifactDir(): string {
    return artifactsBelow(this.root);
  }

  /** The addresses of all API replicas. */
  public get urls(): string[] {
    return this.apis.map(({ url }) => url);
  }

  /** Rows of a statement that a test sends past all processes. */
  public sql<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.api(0).service.sql<Row>(statement, values);
  }

  /** For `afterAll`: ends every process, and removes what was made for the cluster. */
  public async stop(): Promise<void> {
    await Promise.all([...this.apis, ...this.workers].map((replica) => replica.stop()));
    await removeDataDir(this.root);
    await this.dropDatabase();
  }
}

function artifactsBelow(root: string): string {
  return path.join(root, 'artifacts');
}

function at(replicas: readonly Replica[], index: number): Replica {
  const replica = replicas[index];
  if (replica === undefined) throw new Error(`The cluster has no replica ${index}`);
  return replica;
}
