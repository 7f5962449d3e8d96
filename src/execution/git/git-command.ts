import { isIP, isIPv6 } from 'node:net';
import { basicAuth } from '../build-secrets';
import { credentialSettings } from './git-credential';
import type { GitRemote } from './git-remote';
import type { BuildOutput } from '../image-builder';
import type { RunOptions, RunProcess } from '../process/run-process';
import { SecretMask } from '../process/secret-mask';

/** How often a running percentage is shown. */
const progressMs = 2_000;

/** How long an HTTP server may send nothing before it counts as hanging. */
const usualPatienceSeconds = 120;

/** How many of the last messages tell why a command failed. */
const keptMessages = 50;

/** Lines of ours say these in plain words, or they are no matter at all. */
const hiddenLines = /couldn't find remote ref|filtering not recognized|^\s*$/;

/**
 * Settings for every command: no code of the repository, its host or this machine runs, nothing but the repository
 * itself is fetched, and nobody is asked for a password. There is no system and no user configuration besides these.
 */
const settings: Readonly<Record<string, string>> = {
  'core.hooksPath': '/dev/null',
  'core.askPass': '',
  'core.fsmonitor': 'false',
  'core.protectHFS': 'true',
  'core.protectNTFS': 'true',
  'credential.helper': '',
  'http.followRedirects': 'false',
  'submodule.recurse': 'false',
  'filter.lfs.smudge': '',
  'filter.lfs.process': '',
  'filter.lfs.required': 'false',
  'safe.directory': '*',
  'gc.auto': '0',
  // What was received stays one pack as it came, and is needed for this build alone: a crash may lose it.
  'fetch.unpackLimit': '1',
  'core.fsync': 'none',
  'maintenance.auto': 'false',
  'advice.detachedHead': 'false',
  // Malformed objects are refused, but for old slips that many an honest history has and no harm comes from.
  'fetch.fsckObjects': 'true',
  'fetch.fsck.zeroPaddedFilemode': 'ignore',
  'fetch.fsck.badFilemode': 'ignore',
  'fetch.fsck.badTimezone': 'ignore',
  'fetch.fsck.missingSpaceBeforeDate': 'ignore',
  'fetch.fsck.missingSpaceBeforeEmail': 'ignore',
  'fetch.fsck.missingNameBeforeEmail': 'ignore',
  'fetch.fsck.missingEmail': 'ignore',
  'fetch.fsck.badEmail': 'ignore',
  'fetch.fsck.badName': 'ignore',
  'fetch.fsck.missingTaggerEntry': 'ignore',
};

const ssh = [
  'ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=30 -o ServerAliveCountMax=4',
  '-o ForwardAgent=no -o ClearAllForwardings=yes -o PermitLocalCommand=no',
].join(' ');

/** What a command has to reach: the server of the repository, or nothing but its files. */
export type Reach = 'server' | 'nothing';

/** Runs a command of a checkout. */
export type Launch = (
  command: readonly [string, ...string[]],
  options: RunOptions,
  reach: Reach,
) => ReturnType<RunProcess>;

/** Makes the repository before the first fetch into it: each launch costs more than either command. */
const fetchScript = `
  [ -e "$GIT_DIR/HEAD" ] || { mkdir -p "$GIT_DIR" && git init --quiet --template= --initial-branch=none; } || exit
  exec git fetch "$@"
`;

/** Names a commit on stdout, with its author, and checks it out; without a word and a change when there is none. */
const checkOutScript = `
  found=$(git rev-list --max-count=1 --ignore-missing --format=name:%an%nemail:%ae "$1^{commit}" --) || exit
  [ -n "$found" ] || exit 0
  printf '%s\\n' "$found"
  exec git checkout --quiet --force --detach "$1^{commit}" --
`;

/** Leads each protocol to the server's address, whatever its name resolves to by now. */
function pinned({ protocol, server }: GitRemote): { settings: Record<string, string>; ssh: string } {
  if (server === null || isIP(server.host) !== 0) return { settings: {}, ssh };
  const { host, port, address } = server;
  const literal = isIPv6(address) ? `[${address}]` : address;
  switch (protocol) {
    case 'ssh':
      return { settings: {}, ssh: `${ssh} -o HostName=${address} -o HostKeyAlias=${host}` };
    case 'git':
      // Its URL has the address already.
      return { settings: {}, ssh };
    default:
      return { settings: { 'http.curloptResolve': `${host}:${port}:${literal}` }, ssh };
  }
}

function environment(remote: GitRemote, patienceSeconds: number): Record<string, string> {
  const pins = pinned(remote);
  const patience = { 'http.lowSpeedLimit': '1', 'http.lowSpeedTime': String(patienceSeconds) };
  const all = { ...settings, ...patience, ...pins.settings, ...credentialSettings(remote) };
  const entries = Object.entries(all).flatMap(([key, value], index): [string, string][] => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return {
    // The messages of git decide what a failure means.
    LC_ALL: 'C',
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: remote.protocol,
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: pins.ssh,
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_CONFIG_COUNT: String(Object.keys(all).length),
    ...Object.fromEntries(entries),
  };
}

export interface GitResult {
  readonly succeeded: boolean;
  /** The last lines on stderr, without progress and credentials. */
  readonly messages: readonly string[];
}

/** Runs git for one checkout. All that git says goes to the build's log, without credentials. */
export class GitCommand {
  private readonly env: Readonly<Record<string, string>>;
  private readonly mask: SecretMask;
  private lastProgress = performance.now();

  /**
   * `directory`: the working tree, as launched commands see it; it exists. `patienceSeconds`: an HTTP server that sends
   * nothing for so long hangs.
   */
  public constructor(
    private readonly launch: Launch,
    private readonly directory: string,
    private readonly remote: GitRemote,
    private readonly output: BuildOutput,
    private readonly signal: AbortSignal,
    patienceSeconds = usualPatienceSeconds,
  ) {
    this.env = environment(remote, patienceSeconds);
    const { credential } = remote;
    const [userInfo = ''] = /(?<=^\w+:\/\/)[^/@]+(?=@)/.exec(remote.url) ?? [];
    const ofHttp = credential === null ? [] : [credential.username, credential.password, basicAuth(credential)];
    this.mask = new SecretMask([userInfo, ...userInfo.split(':'), ...ofHttp]);
  }

  /** Fetches into a repository, by default the one of the working tree. @throws the signal's reason after an abort */
  public fetch(args: readonly string[], gitDir?: string): Promise<GitResult> {
    const reach = this.remote.protocol === 'file' ? 'nothing' : 'server';
    return this.launchGit(['sh', '-c', fetchScript, 'sh', ...args], reach, gitDir);
  }

  /** Checks out what a name means; lines on stdout tell the commit, none when there is none. */
  public checkOut(name: string, onStdout: (line: string) => void): Promise<GitResult> {
    return this.launchGit(['sh', '-c', checkOutScript, 'sh', name], 'nothing', undefined, onStdout);
  }

  /** Runs git on what was fetched. @throws the signal's reason after an abort */
  public run(args: readonly string[], gitDir: string, onStdout: (line: string) => void): Promise<GitResult> {
    return this.launchGit(['git', ...args], 'nothing', gitDir, onStdout);
  }

  private async launchGit(
    command: readonly [string, ...string[]],
    reach: Reach,
    gitDir = `${this.directory}/.git`,
    onStdout: (line: string) => void = () => undefined,
  ): Promise<GitResult> {
    const messages: string[] = [];
    const options: RunOptions = {
      env: { ...this.env, GIT_DIR: gitDir },
      cwd: this.directory,
      signal: this.signal,
      onLine: ({ stream, text }) => {
        if (stream === 'stdout') {
          onStdout(text);
          return undefined;
        }
        const line = this.presentable(text);
        if (/\d+% \(\d+\/\d+\)(?!.*done)/.test(line)) return this.showProgress(line);
        messages.push(line);
        if (messages.length > keptMessages) messages.shift();
        return this.show(line);
      },
    };
    const { exitCode } = await this.launch(command, options, reach);
    return { succeeded: exitCode === 0, messages };
  }

  /** Removes a directory that git made. */
  public async remove(directory: string): Promise<void> {
    await this.launch(['rm', '-rf', '--', directory], { env: this.env, signal: this.signal }, 'nothing');
  }

  private presentable(text: string): string {
    const { url, shownUrl, path } = this.remote;
    const shown = text.replaceAll(url, shownUrl);
    return this.mask.apply(path === null ? shown : shown.replaceAll(path, shownUrl)).trimEnd();
  }

  private showProgress(line: string): void | Promise<void> {
    const now = performance.now();
    if (now - this.lastProgress < progressMs) return undefined;
    this.lastProgress = now;
    return this.show(line);
  }

  private show(line: string): void | Promise<void> {
    if (hiddenLines.test(line)) return undefined;
    const level = /^(?:remote: )?(?:fatal|error|warning): /i.test(line) ? 'WARN' : 'INFO';
    return this.output.line(level, line, 'checkout');
  }
}
