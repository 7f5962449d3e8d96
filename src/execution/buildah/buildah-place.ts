import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Cage, CageNetwork, CageView } from '../cage/cage';
import { hasCode } from '../../config/error-code';
import { readPlainFile } from '../files/plain-file';
import type { RegistryAuth } from './registry-auth';
import type { RunOptions, RunResult } from '../process/run-process';
import type { SecretMask } from '../process/secret-mask';

/** How this host's buildah can be used. */
export interface BuildahTraits {
  /** Such as [1, 28, 2]. */
  readonly version: readonly number[];
  /** Options for the storage, before the command's name. */
  readonly storage: readonly string[];
  /** How RUN is isolated: options of `build` and `run`. */
  readonly isolation: readonly string[];
  /** The system calls that RUN may make, as the OCI runtime specification has it; null: the engine's own list. */
  readonly seccomp: string | null;
  /** What does not hold, a sentence each. */
  readonly missing: readonly string[];
}

export interface PlaceDirs {
  /** Images and layers; several places may share it at once. */
  readonly storageDir: string;
  /** This place's own; removed when the place is closed. */
  readonly scratchDir: string;
  readonly readOnly?: Readonly<Record<string, string>>;
  /** Registries that may speak plain HTTP or show a certificate that nobody signed. */
  readonly insecureRegistries?: readonly string[];
  /** Ends what opens the place. */
  readonly signal?: AbortSignal;
  /** Masks what the commands print. */
  readonly mask?: SecretMask;
}

const noContainers = '[]';

/**
 * Buildah notes a container in the storage first and its own state of it later, and removes only those of which it has
 * one. What was killed in between gets the least state that makes buildah take it for its own.
 */
const adoptContainers = `(
  cd "$CONTAINERS" || exit 0
  for id in $(grep -oE '"id":"[0-9a-f]{64}"' containers.json | cut -d '"' -f 4); do
    [ ! -s "$id/userdata/buildah.json" ] || continue
    mkdir -p "$id/userdata"
    printf '{"type":"buildah 0.0.1","container-id":"%s"}' "$id" > "$id/userdata/buildah.json"
  done
)
`;

type EngineRun = Pick<RunOptions, 'onLine' | 'signal'>;

/** Buildah keeps caches where it keeps what is temporary; by the user's id in newer releases. */
const linkCaches = `
  mkdir -p "$CACHES" || exit
  for name in buildah-cache "buildah-cache-$(id -u)"; do ln -sfn "$CACHES" "$TMPDIR/$name"; done
`;

/** Instances of inotify are counted for all builds together, by the user who builds: a build has its share of the usual 128. */
const mostInotify = 24;

/**
 * No step makes a user namespace: within one it would have every capability, and so reach far more of the kernel, and with
 * many it would leave none to other builds. The engine makes its own first, and sets the limit inside.
 */
const limitNamespaces = `
  set -- sh -c 'cd /proc/sys/user && echo 0 > max_user_namespaces && echo ${mostInotify} > max_inotify_instances && cd "$OLDPWD" && exec "$@"' sh "$@"
  [ "$(id -u)" = 0 ] || set -- buildah unshare "$@"
`;

/** In the cage's own memory. */
const authFile = '/dev/shm/auth.json';
const takeAuth = `(umask 077 && cat > ${authFile}) || exit
  exec < /dev/null
`;

/**
 * Where the buildah of one build works: a storage and a scratch directory, and nothing else of the host's configuration.
 *
 * The scratch directory itself and the files in it are the service's own, so that nothing that builds can put another
 * thing in their place; the directories below it are the engine's.
 *
 * Every command holds a shared lock on the storage; what clears up after builds that died holds it exclusively. The kernel
 * frees a lock when its process ends, however it ends. What buildah notes of its mounts stays in the scratch directory,
 * because mounts end with the namespace that made them.
 */
export class BuildahPlace {
  private constructor(
    private readonly cage: Cage,
    private readonly view: CageView,
    private readonly traits: BuildahTraits,
    private readonly dirs: PlaceDirs,
  ) {}

  public static async open(cage: Cage, traits: BuildahTraits, dirs: PlaceDirs): Promise<BuildahPlace> {
    const { storageDir, scratchDir, readOnly = {}, signal } = dirs;
    await cage.makeDir(storageDir);
    await mkdir(scratchDir);
    try {
      const view = cage.view({ writable: { storage: storageDir, scratch: scratchDir }, readOnly });
      const place = new BuildahPlace(cage, view, traits, dirs);
      await place.furnish();
      await place.clearStorage(signal);
      return place;
    } catch (error) {
      await cage.removeDir(scratchDir);
      throw error;
    }
  }

  /**
   * Whether a storage has working containers: of builds at work, or of builds that died. It looks without the engine, which
   * takes its time: most storages have none.
   */
  public static async hasContainers(traits: BuildahTraits, storageDir: string): Promise<boolean> {
    const list = path.join(containersDir(traits, storageDir), 'containers.json');
    try {
      return (await readPlainFile(list, noContainers.length + 1))?.trim() !== noContainers;
    } catch (error) {
      return !hasCode(error, 'ENOENT');
    }
  }

  /** The path by which buildah reaches a file of the host. */
  public inside(hostPath: string): string {
    return this.view.inside(hostPath);
  }

  /** A file that buildah writes for us. */
  public outFile(name: string): string {
    return path.join(this.dirs.scratchDir, 'out', name);
  }

  /** Puts a file where no build can put another in its place. @returns the path by which buildah reaches it */
  public async putFile(name: string, text: string): Promise<string> {
    const file = path.join(this.dirs.scratchDir, name);
    await writeFile(file, text, { flag: 'wx' });
    await chmod(file, 0o644);
    return this.inside(file);
  }

  /** Builds with the caches in this directory of the storage, which the next build with it finds again. */
  public async build(
    caches: string,
    args: readonly string[],
    { onLine, signal, env: more }: EngineRun & Pick<RunOptions, 'env'>,
  ): Promise<RunResult> {
    const env = { ...more, CACHES: this.inside(path.join(this.dirs.storageDir, 'caches', caches)) };
    return this.locked(
      ['-s'],
      'own',
      ['build', ...args],
      { onLine, signal },
      { before: linkCaches + limitNamespaces, env },
    );
  }

  /** Why commands with a network cannot reach a registry; null when no rule is in their way. */
  public refusal(registry: string): Promise<string | null> {
    return this.cage.refusal(registry, 443);
  }

  /** Runs a command of buildah; its stderr arrives on stdout, in true order. */
  public buildah(network: CageNetwork, args: readonly string[], { onLine, signal }: EngineRun): Promise<RunResult> {
    return this.locked(['-s'], network, args, { onLine, signal });
  }

  /** Runs a pull or a push with credentials. They are on no disk: they lie in the memory of its cage, and end with it. */
  public withAuth(
    network: CageNetwork,
    auth: RegistryAuth,
    args: readonly [string, ...string[]],
    options: EngineRun,
  ): Promise<RunResult> {
    const [command, ...rest] = args;
    const stdin = JSON.stringify(auth);
    const withFile = [command, '--authfile', authFile, ...rest];
    return this.locked(['-s'], network, withFile, { ...options, stdin }, { before: takeAuth, env: {} });
  }

  /** Removes what ended commands left half-made in the storage, unless another build uses it. */
  public async clear(): Promise<void> {
    await this.clearStorage(undefined);
  }

  public async close(): Promise<void> {
    await this.cage.removeDir(this.dirs.scratchDir);
  }

  /** Whatever the service's own umask is, the engine can read what it needs. */
  private async furnish(): Promise<void> {
    const { scratchDir } = this.dirs;
    await chmod(scratchDir, 0o755);
    for (const name of ['home', 'tmp', 'run', 'out']) await this.cage.makeDir(path.join(scratchDir, name));
    const files = { 'registries.conf': this.registries(), 'storage.conf': this.storage(), 'containers.conf': '' };
    for (const [name, text] of Object.entries(files)) await this.putFile(name, text);
  }

  /** Removes the working containers of builds that died; while another build uses the storage, they stay until later. */
  private async clearStorage(signal: AbortSignal | undefined): Promise<void> {
    const { storageDir } = this.dirs;
    if (!(await BuildahPlace.hasContainers(this.traits, storageDir))) return;
    const env = { CONTAINERS: this.inside(containersDir(this.traits, storageDir)) };
    await this.locked(['-x', '-n'], 'none', ['rm', '--all'], { signal }, { before: adoptContainers, env });
  }

  private locked(
    lock: readonly string[],
    network: CageNetwork,
    args: readonly string[],
    options: EngineRun & Pick<RunOptions, 'stdin'>,
    { before, env }: { readonly before: string; readonly env: Record<string, string> } = { before: '', env: {} },
  ): Promise<RunResult> {
    const { storageDir, scratchDir } = this.dirs;
    const runRoot = path.join(scratchDir, 'run');
    const lockFile = this.inside(path.join(storageDir, '.image-factory.lock'));
    const roots = ['--root', this.inside(storageDir), '--runroot', this.inside(runRoot), ...this.traits.storage];
    return this.view.run(network)(
      ['flock', ...lock, lockFile, 'sh', '-c', `${before}exec "$@" 2>&1`, 'sh', 'buildah', ...roots, ...args],
      { ...options, mask: this.dirs.mask, env: { ...this.env(), ...env }, cwd: this.inside(scratchDir) },
    );
  }

  private env(): Record<string, string> {
    const inside = (name: string): string => this.inside(path.join(this.dirs.scratchDir, name));
    return {
      HOME: inside('home'),
      TMPDIR: inside('tmp'),
      XDG_RUNTIME_DIR: inside('run'),
      CONTAINERS_CONF: inside('containers.conf'),
      CONTAINERS_STORAGE_CONF: inside('storage.conf'),
      CONTAINERS_REGISTRIES_CONF: inside('registries.conf'),
      LANG: 'C.UTF-8',
    };
  }

  private storage(): string {
    const { storageDir, scratchDir } = this.dirs;
    const [graphRoot, runRoot] = [this.inside(storageDir), this.inside(path.join(scratchDir, 'run'))];
    const words = { driver: this.traits.storage[1] ?? 'overlay', graphroot: graphRoot, runroot: runRoot };
    return ['[storage]', ...Object.entries(words).map(([key, value]) => `${key} = ${JSON.stringify(value)}`), ''].join(
      '\n',
    );
  }

  private registries(): string {
    const insecure = (this.dirs.insecureRegistries ?? []).map(
      (registry) => `[[registry]]\nlocation = ${JSON.stringify(registry)}\ninsecure = true\n`,
    );
    return ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "disabled"', ...insecure].join('\n');
  }
}

function containersDir({ storage }: BuildahTraits, storageDir: string): string {
  return path.join(storageDir, `${storage[1] ?? 'overlay'}-containers`);
}
