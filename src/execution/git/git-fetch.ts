import { setTimeout as sleep } from 'node:timers/promises';
import type { GitCommand, GitResult } from './git-command';
import { causeOf, meaningOf } from './git-failure';
import type { GitRemote } from './git-remote';
import { BuildFailure, type BuildOutput } from '../image-builder';

/** Where a fetch leaves what it fetched. */
export const fetchedRef = 'refs/image-factory/fetched';

const missingRef = /couldn't find remote ref/;
const thinRefused = /shallow|filter/;

/** Fetches from one remote; network trouble is tried again a few times. */
export class GitFetch {
  public constructor(
    private readonly git: GitCommand,
    private readonly remote: GitRemote,
    private readonly output: BuildOutput,
    private readonly signal: AbortSignal,
    private readonly retryDelaysMs: readonly number[],
  ) {}

  /**
   * Fetches a branch, or the tag when there is no such branch, with an option that fetches less than all where the
   * server knows it. Returns the full name of the ref.
   * @throws BuildFailure
   */
  public async branchOrTag(name: string, thin: '--depth=1' | '--filter=tree:0', gitDir?: string): Promise<string> {
    for (const ref of [`refs/heads/${name}`, `refs/tags/${name}`]) {
      let result = await this.fetch(`+${ref}:${fetchedRef}`, [thin], gitDir);
      if (isRefusal(result, thinRefused)) result = await this.fetch(`+${ref}:${fetchedRef}`, [], gitDir);
      if (result.succeeded) return ref;
      if (!isRefusal(result, missingRef)) throw this.failure(result);
    }
    throw new BuildFailure(`Branch or tag "${name}" does not exist in ${this.remote.shownUrl}.`);
  }

  /**
   * Fetches a commit by itself; from a server that does not give single commits, all that the refspec covers instead,
   * which may lack it. `commit` has 40 digits.
   * @throws BuildFailure
   */
  public async commit(commit: string, insteadRefspec: string): Promise<void> {
    const alone = await this.fetch(`+${commit}:${fetchedRef}`, ['--depth=1']);
    if (alone.succeeded) return;
    const all = await this.fetch(insteadRefspec, []);
    if (!all.succeeded && !isRefusal(all, missingRef)) throw this.failure(all);
  }

  /** Succeeds, or fails for a reason that depends on the refspec; everything else throws. */
  private async fetch(refspec: string, extra: readonly string[], gitDir?: string): Promise<GitResult> {
    const { git, remote } = this;
    const plain = ['--quiet', '--progress', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head'];
    const args = [...plain, ...this.serverOptions(), ...extra, '--', remote.url, refspec];
    const tries = this.retryDelaysMs.length + 1;
    for (const [index, delay] of [...this.retryDelaysMs, null].entries()) {
      const result = await git.fetch(args, gitDir);
      const meaning = result.succeeded ? 'other' : meaningOf(result.messages);
      if (meaning === 'other') return result;
      if (meaning !== 'unreachable' || delay === null) throw this.failure(result);
      const next = `try ${index + 2} of ${tries} follows in ${delay / 1_000} s`;
      await this.output.line('WARN', `Network trouble: ${causeOf(result.messages)}; ${next}`, 'checkout');
      await sleep(delay, undefined, { signal: this.signal }).catch(() => {
        this.signal.throwIfAborted();
      });
    }
    throw new Error('There is no last try.');
  }

  /** Repositories on this machine may belong to anybody; the protocol's own environment would drop our setting. */
  private serverOptions(): string[] {
    return this.remote.protocol === 'file' ? [`--upload-pack=git -c 'safe.directory=*' upload-pack`] : [];
  }

  private failure({ messages }: GitResult): BuildFailure {
    const { shownUrl } = this.remote;
    const cause = causeOf(messages);
    switch (meaningOf(messages)) {
      case 'absent':
        return new BuildFailure(`There is no git repository at ${shownUrl}.`);
      case 'denied':
        return new BuildFailure(`Access to ${shownUrl} was denied, or there is no such repository: ${cause}.`);
      case 'redirected':
        return new BuildFailure(`${shownUrl} redirects to another place; give the repository's own URL.`);
      case 'unreachable':
        return new BuildFailure(`Cannot reach ${shownUrl}: ${cause} (after ${this.retryDelaysMs.length + 1} tries).`);
      case 'other':
        return new BuildFailure(`Cannot fetch from ${shownUrl}: ${cause}.`);
    }
  }
}

function isRefusal({ succeeded, messages }: GitResult, words: RegExp): boolean {
  return !succeeded && messages.some((message) => words.test(message));
}
