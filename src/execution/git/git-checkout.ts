import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { refNameProblem } from '../../projects/git-policy';
import type { Credential } from '../../secrets/secret';
import { GitCommand, type Launch } from './git-command';
import { causeOf } from './git-failure';
import { fetchedRef, GitFetch } from './git-fetch';
import { hasCode } from '../../config/error-code';
import { withCredential } from './git-credential';
import { admitRemote, type GitRemote, type GitRemotePolicy } from './git-remote';
import { BuildFailure, type BuildOutput } from '../image-builder';

export interface GitCheckoutOptions extends GitRemotePolicy {
  /**
   * Runs each command. It gives the environment its `PATH`; what it writes belongs to the user that it runs commands
   * as.
   */
  readonly launch: Launch;
  /** How long to wait before each further try after network trouble; by default 2 and 8 seconds. */
  readonly retryDelaysMs?: readonly number[];
  /** How long a server may send nothing before another try is made; by default 120. */
  readonly patienceSeconds?: number;
}

export interface CheckoutRequest {
  readonly repositoryUrl: string;
  /** A branch, or a tag when there is no such branch. */
  readonly branch: string;
  /** 7 to 40 hex digits; null: the branch's newest commit. */
  readonly commit: string | null;
  /** The commit was on the branch once, so that it need not be now. */
  readonly commitVerified: boolean;
  /** An empty directory, as launched commands see it. */
  readonly dir: string;
  /** Each for one server; what the URL has is used where none fits. */
  readonly credentials?: readonly Credential[];
}

export interface CheckedOut {
  /** 40 hex digits. */
  readonly commit: string;
  readonly authorName: string | null;
  /** Null when it is no valid address. */
  readonly authorEmail: string | null;
}

const emailAddress = z.email();

/** Gets the source of a build: one commit of a repository, without its submodules and large files (LFS). */
export class GitCheckout {
  public constructor(private readonly options: GitCheckoutOptions) {}

  /**
   * @throws BuildFailure when there is no such repository, branch or commit, or it cannot be had.
   * @throws the signal's reason after an abort, once every process of git is dead.
   */
  public async checkout(request: CheckoutRequest, output: BuildOutput, signal: AbortSignal): Promise<CheckedOut> {
    const { launch, retryDelaysMs = [2_000, 8_000], patienceSeconds } = this.options;
    const problem = refNameProblem(request.branch);
    if (problem !== null) throw new BuildFailure(`The branch or tag "${request.branch}" is refused: it ${problem}.`);
    const admitted = await this.admit(request.repositoryUrl, retryDelaysMs, signal);
    const remote = withCredential(admitted, request.credentials ?? []);
    const git = new GitCommand(launch, request.dir, remote, output, signal, patienceSeconds);
    const fetch = new GitFetch(git, remote, output, signal, retryDelaysMs);
    return new Checkout(request, remote, git, fetch).run();
  }

  /** A resolver that cannot answer for the moment is asked again, like a server that cannot be reached. */
  private async admit(url: string, retryDelaysMs: readonly number[], signal: AbortSignal): Promise<GitRemote> {
    for (const delay of retryDelaysMs) {
      try {
        return await admitRemote(url, this.options);
      } catch (error) {
        if (!(error instanceof BuildFailure) || !hasCode(error.cause, 'EAI_AGAIN')) throw error;
        await sleep(delay, undefined, { signal });
      }
    }
    return admitRemote(url, this.options);
  }
}

/** One checkout under way. */
class Checkout {
  public constructor(
    private readonly request: CheckoutRequest,
    private readonly remote: GitRemote,
    private readonly git: GitCommand,
    private readonly fetch: GitFetch,
  ) {}

  public async run(): Promise<CheckedOut> {
    const { branch, commit, commitVerified } = this.request;
    const { shownUrl } = this.remote;
    if (commit === null) {
      const ref = await this.fetch.branchOrTag(branch, '--depth=1');
      return this.checkOut(fetchedRef, `${ref} in ${shownUrl} does not point to a commit.`);
    }
    if (commitVerified && commit.length === 40) {
      await this.fetch.commit(commit, '+refs/*:refs/image-factory/all/*');
      return this.checkOut(commit, `Commit ${commit} no longer exists in ${shownUrl}.`);
    }
    const proven = await this.findOnBranch(commit.toLowerCase());
    await this.fetch.commit(proven.commit, `+${proven.ref}:${fetchedRef}`);
    return this.checkOut(proven.commit, `Commit ${commit} is no longer on "${branch}".`);
  }

  /**
   * Finds the commit that these digits begin in the history of the branch, which is fetched without files, where the
   * server can, into a repository of its own: one that lacks files on purpose would fetch them one by one.
   */
  private async findOnBranch(digits: string): Promise<{ readonly commit: string; readonly ref: string }> {
    const { branch, dir } = this.request;
    const history = `${dir}/.git/history`;
    const ref = await this.fetch.branchOrTag(branch, '--filter=tree:0', history);
    const found: string[] = [];
    const { succeeded, messages } = await this.git.run(['rev-list', fetchedRef, '--'], history, (line) => {
      if (line.startsWith(digits)) found.push(line);
    });
    if (!succeeded) throw new BuildFailure(`Cannot read the history of "${branch}": ${causeOf(messages)}.`);
    await this.git.remove(history);
    const [commit, another] = found;
    const where = `branch or tag "${branch}" of ${this.remote.shownUrl}`;
    if (commit === undefined) throw new BuildFailure(`Commit ${digits} is not on ${where}.`);
    if (another !== undefined) {
      throw new BuildFailure(
        `Commit ${digits} is ambiguous: ${found.length} commits on ${where} begin so. Give more digits.`,
      );
    }
    return { commit, ref };
  }

  /** @throws BuildFailure with this message when the name means no commit */
  private async checkOut(name: string, absent: string): Promise<CheckedOut> {
    const said = new Map<string, string>();
    const { succeeded, messages } = await this.git.checkOut(name, (line) => {
      const [, key = '', value = ''] = /^(\w+)[ :](.*)$/.exec(line) ?? [];
      said.set(key, value.replace(/\p{Cc}(?:\[[\d;:]*m)?/gu, '').trim());
    });
    const commit = said.get('commit');
    if (commit === undefined) throw new BuildFailure(absent);
    if (!succeeded) throw new BuildFailure(`Cannot check out commit ${commit}: ${causeOf(messages)}.`);
    const authorName = said.get('name') ?? '';
    const email = emailAddress.safeParse(said.get('email'));
    return {
      commit,
      authorName: authorName === '' ? null : authorName,
      authorEmail: email.success ? email.data : null,
    };
  }
}
