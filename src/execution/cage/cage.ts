import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lchown, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { findIdentity, toolPath, type CageIdentity } from './cage-identity';
import { networkSlots, type Egress } from './cage-network';
import { cageFailurePrefix, cageFailureStatus, cageScript } from './cage-script';
import { ControlGroup, type ResourceLimits } from './control-group';
import { CageLimits } from './cage-limits';
import { hiddenPlaces } from './hidden-places';
import { isWithin } from '../files/is-within';
import { removeTree } from '../files/remove-tree';
import { unlinkedBytes } from '../files/unlinked-files';
import { findOpenings, innerRules, outerRules, refusalOf, type EgressOptions } from './egress';
import { chosenResolver, nameServersOf, reachableResolver } from './resolver';
import { runProcess, type RunOptions, type RunProcess, type RunResult } from '../process/run-process';
import { SecretMask } from '../process/secret-mask';

/**
 * The death signal tells only of a death after it was set: a parent that is gone before that shows as another parent. The
 * first arguments are the parent, and the files by which to enter a control group, a line each.
 */
const launchScript = `[ "$PPID" = "$0" ] || exit 1
IFS='
'
for entrance in $1; do echo $$ > "$entrance" || exit 1; done
unset IFS
shift
exec "$@"`;

/**
 * A network namespace of its own in any case. `none`: with its loopback alone. `own`: with a filtered way out where this
 * host allows one, for everything that a repository or a project decides where to connect to.
 */
export type CageNetwork = 'none' | 'own';

export interface CageOptions {
  /** Who runs the commands when the service is root. */
  readonly buildUser: string;
  /** Hidden in every cage but for the directories of its view. */
  readonly dataDir: string;
  /** More files and directories that no command may see, such as the operator's registry credentials. */
  readonly hidden?: readonly string[];
  /** What commands with a network may reach; by default the public Internet and the host's name servers. */
  readonly egress?: EgressOptions;
  /** What the processes of one command may use; without it, what the host has. */
  readonly limits?: ResourceLimits;
  /** Masks what commands print; asked for each command, as secrets change. */
  readonly mask?: () => Promise<SecretMask>;
}

/** What a cage shows: each directory under a name, which stands for itself below `CageView.inside`. */
export interface CageDirs {
  /** Directories that the commands may write. */
  readonly writable: Readonly<Record<string, string>>;
  readonly readOnly?: Readonly<Record<string, string>>;
}

/** The view could not be made; the message says why. */
export class CageError extends Error {
  public override readonly name = 'CageError';
}

/**
 * Runs commands in PID, mount, IPC, host name and, if wanted, network namespaces of their own, as an unprivileged user. All
 * that a command started ends with it, with an abort, and with this process, however that ends.
 */
export class Cage {
  private identity: Promise<CageIdentity> | null = null;
  private egress: Promise<{ readonly kind: Egress; readonly missing: string | null }> | null = null;

  private readonly limits: CageLimits;

  public constructor(private readonly options: CageOptions) {
    this.limits = new CageLimits(options.limits ?? null);
  }

  /** @throws Error with one line that says why no command can be caged on this host. */
  public async check(): Promise<void> {
    const { buildUser } = await this.who();
    const tools = ['setpriv', 'unshare', 'nsenter', 'mount', ...(buildUser === null ? ['newuidmap', 'newgidmap'] : [])];
    const absent = tools.filter((tool) => !isInstalled(tool));
    if (absent.length > 0) throw new Error(`Missing: ${absent.join(', ')}; install util-linux and uidmap.`);
    const lines: string[] = [];
    const onLine: RunOptions['onLine'] = ({ text }) => void lines.push(text);
    const { exitCode } = await this.run({ writable: {} }, ['true'], 'none', null, { env: {}, onLine });
    if (exitCode === 0) return;
    throw new Error(
      `Builds cannot be isolated on this host: ${lines.join('; ') || `exit code ${exitCode ?? 'none'}`}.`,
    );
  }

  /** What does not hold on this host, a sentence each. */
  public async describe(): Promise<string[]> {
    const { missing } = await this.findEgress();
    const unlimited = await this.limits.missing();
    return [missing, unlimited].filter((each) => each !== null);
  }

  /** Why commands with a network cannot reach a server, such as `registry.test:5000`; null when no rule is in their way. */
  public refusal(server: string, usualPort: number): Promise<string | null> {
    return refusalOf(server, usualPort, this.egressOptions.allow);
  }

  /**
   * What commands that may write in one of these directories keep of files without a name, in bytes; 0 where they are under
   * no limits.
   * @throws Unmeasurable; the signal's reason after an abort
   */
  public async unlinkedBytes(directories: readonly string[], signal: AbortSignal): Promise<number> {
    return unlinkedBytes(await this.limits.pidsOf(directories), signal);
  }

  /** Removes what killed workers left in the kernel. */
  public async sweep(): Promise<void> {
    await ControlGroup.sweep();
  }

  /** Prepares to run commands that see these directories. */
  public view(dirs: CageDirs): CageView {
    const root = this.mountPoint(dirs);
    return new CageView(root, dirs, (command, network, directory, options) =>
      this.run(dirs, command, network, directory, options, root),
    );
  }

  /** Makes a directory (and its parents) that belongs to the user of the commands. */
  public async makeDir(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
    await this.handOver(directory);
  }

  /** Gives a file or directory to the user of the commands. */
  public async handOver(entry: string): Promise<void> {
    const { buildUser } = await this.who();
    if (buildUser !== null) await lchown(entry, buildUser.uid, buildUser.gid);
  }

  /** Removes a directory with all that commands left in it, whichever subordinate user owns it. */
  public async removeDir(directory: string, signal?: AbortSignal): Promise<void> {
    if ((await removeTree(directory, signal)) === null) return;
    const view = this.view({ writable: { gone: directory } });
    await view.run('none')(['find', view.inside(directory), '-xdev', '-mindepth', '1', '-delete'], {
      env: {},
      signal,
    });
    const complaint = await removeTree(directory, signal);
    if (complaint !== null) throw new Error(complaint);
  }

  private who(): Promise<CageIdentity> {
    this.identity ??= findIdentity(this.options.buildUser).catch((error: unknown) => {
      this.identity = null;
      throw error;
    });
    return this.identity;
  }

  /** Tries the ways out that fit this host, until one answer is found. */
  private findEgress(): Promise<{ readonly kind: Egress; readonly missing: string | null }> {
    this.egress ??= this.tryEgress().catch((error: unknown) => {
      this.egress = null;
      throw error;
    });
    return this.egress;
  }

  private async tryEgress(): Promise<{ readonly kind: Egress; readonly missing: string | null }> {
    const { buildUser } = await this.who();
    const kind: Egress = buildUser === null ? 'slirp4netns' : 'veth';
    const tools = kind === 'veth' ? ['ip', 'nft'] : ['ip', 'nft', 'slirp4netns'];
    const absent = tools.filter((tool) => !isInstalled(tool));
    const none = (reason: string) =>
      ({ kind: 'none', missing: `Builds have no network but loopback: ${reason}.` }) as const;
    if (absent.length > 0) return none(`${absent.join(' and ')} not installed`);
    try {
      await this.run({ writable: {} }, ['true'], kind, null, { env: {} });
    } catch (error) {
      if (error instanceof CageError) return none(error.message);
      throw error;
    }
    const resolves = (await this.resolver(kind)) !== null;
    return {
      kind,
      missing: resolves
        ? null
        : 'Builds resolve no names: the host has no name server off its loopback (BUILD_DNS can name one).',
    };
  }

  /** Where a view is mounted: a directory that every system has and that holds nothing which the cage needs. */
  private mountPoint(dirs: CageDirs): string {
    const shown = [...Object.values(dirs.writable), ...Object.values(dirs.readOnly ?? {}), this.options.dataDir];
    const free = ['/mnt', '/media', '/srv', '/opt'].find(
      (candidate) => existsSync(candidate) && !shown.some((directory) => isWithin(candidate, directory)),
    );
    if (free === undefined) throw new CageError('None of /mnt, /media, /srv and /opt is free to mount a view on.');
    return free;
  }

  private async run(
    dirs: CageDirs,
    command: readonly [string, ...string[]],
    network: CageNetwork | Egress,
    directory: string | null,
    options: RunOptions,
    root = this.mountPoint(dirs),
  ): Promise<RunResult> {
    const { buildUser } = await this.who();
    // What makes the network may run a Node.js that lies in a home.
    const { dataDir, hidden = [] } = this.options;
    const words = [...bindings(dirs), ...(await this.networkWords(network))];
    words.push(...(await hiddenPlaces([dataDir, ...hidden], root)).flatMap((each) => ['hide', each]));
    if (buildUser !== null) words.push('user', String(buildUser.uid), String(buildUser.gid));
    if (directory !== null) words.push('directory', directory);

    const mask = await this.maskWith(options.mask);
    const userNamespace = buildUser === null ? ['--user', '--map-root-user', '--map-auto'] : [];
    let reason = '';
    const launch = (entrances: readonly string[]): readonly [string, ...string[]] => [
      ...(['setpriv', '--pdeathsig', 'KILL', '--', 'sh', '-c', launchScript] as const),
      ...[
        String(process.pid),
        entrances.join('\n'),
        'unshare',
        ...userNamespace,
        '--fork',
        '--pid',
        '--kill-child=KILL',
        '--mount',
        '--mount-proc',
      ],
      ...['--ipc', '--uts', '--', 'sh', '-c', cageScript, 'cage', root, ...words, '--', ...command],
    ];
    const result = await this.limits.within(Object.values(dirs.writable), (entrances, exceeded) =>
      runProcess(launch(entrances), {
        ...options,
        mask,
        signal: AbortSignal.any([options.signal, exceeded].filter((each) => each !== undefined)),
        env: { PATH: toolPath, ...options.env },
        onLine: (line) => {
          if (line.stream === 'stderr' && line.text.startsWith(cageFailurePrefix)) reason = line.text;
          return options.onLine?.(line);
        },
      }),
    );
    if (result.exitCode !== cageFailureStatus || reason === '') return result;
    throw new CageError(reason.slice(cageFailurePrefix.length));
  }

  private async networkWords(network: CageNetwork | Egress): Promise<string[]> {
    const kind = network === 'own' ? (await this.findEgress()).kind : network;
    const slot = String(randomInt(networkSlots));
    const resolver = (await this.resolver(kind)) ?? '';
    const { allow } = this.egressOptions;
    // What needs no network has no relay either.
    const openings = await findOpenings(network === 'none' ? [] : allow, nameServersOf(resolver));
    const rules = kind === 'none' ? ['', ''] : [innerRules(openings), kind === 'veth' ? outerRules(openings) : ''];
    const relayed = JSON.stringify(openings.relayed);
    const word = kind === 'slirp4netns' && this.egressOptions.nameServers.length > 0 ? `${kind}-without-dns` : kind;
    return ['resolver', resolver, 'network', word, slot, ...rules, process.execPath, relayed];
  }

  /** The resolv.conf of a cage; null when it can resolve no names. */
  private async resolver(kind: Egress): Promise<string | null> {
    const { nameServers } = this.egressOptions;
    if (kind === 'none') return null;
    if (nameServers.length > 0) return chosenResolver(nameServers);
    // The forwarder of slirp4netns asks the name servers of the host, also one on its loopback.
    return kind === 'slirp4netns' ? 'nameserver 10.0.2.3\n' : reachableResolver();
  }

  private get egressOptions(): EgressOptions {
    return this.options.egress ?? { allow: [], nameServers: [] };
  }

  private async maskWith(mask: SecretMask | undefined): Promise<SecretMask> {
    const masks = [await this.options.mask?.(), mask];
    return new SecretMask(
      [],
      masks.filter((each) => each !== undefined),
    );
  }
}

type RunInView = (
  command: readonly [string, ...string[]],
  network: CageNetwork,
  directory: string | null,
  options: RunOptions,
) => Promise<RunResult>;

/** Directories of the host as the commands of a cage see them. */
export class CageView {
  public constructor(
    private readonly root: string,
    private readonly dirs: CageDirs,
    private readonly runInView: RunInView,
  ) {}

  /**
   * The path by which commands reach a file or directory of the host.
   * @throws Error when the view does not show it.
   */
  public inside(hostPath: string): string {
    const shown = Object.entries({ ...this.dirs.writable, ...this.dirs.readOnly });
    for (const [name, directory] of shown) {
      if (isWithin(directory, hostPath)) return path.join(this.root, name, path.relative(directory, hostPath));
    }
    throw new Error(`"${hostPath}" is not in the view.`);
  }

  /** Runs commands with this view; a `cwd` is a path inside. Nothing of the service's own environment reaches them. */
  public run(network: CageNetwork): RunProcess {
    return (command, { cwd, ...options }) => this.runInView(command, network, cwd ?? null, options);
  }
}

function bindings({ writable, readOnly = {} }: CageDirs): string[] {
  return [
    ...Object.entries(writable).flatMap(([name, directory]) => ['bind', directory, name, 'rw']),
    ...Object.entries(readOnly).flatMap(([name, directory]) => ['bind', directory, name, 'ro']),
  ];
}

function isInstalled(tool: string): boolean {
  return toolPath.split(':').some((directory) => existsSync(path.join(directory, tool)));
}
