import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** A file of a commit: its text, or something else that git can keep in a tree; null removes it. */
export type GitFile =
  string | { readonly executable: string } | { readonly symlink: string } | { readonly submodule: string } | null;

export interface GitCommitOptions {
  /** `main` by default; moved to the new commit, also when that is no fast-forward. */
  readonly branch?: string;
  /** The commit to build upon; by default the branch's tip, null for none. */
  readonly parent?: string | null;
  readonly message?: string;
  readonly authorName?: string;
  readonly authorEmail?: string;
}

const env = {
  ...{ PATH: process.env.PATH, LC_ALL: 'C', HOME: '/nonexistent' },
  ...{ GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' },
};

/** A real repository for tests, bare, that other users of this machine can read. */
export class GitRepository {
  /** A directory of its own, which holds nothing but the repository. */
  public readonly root: string;
  public readonly directory: string;
  /** Its `file://` URL. */
  public readonly url: string;
  private clock = 1_750_000_000;

  public constructor(name = 'repository.git') {
    this.root = mkdtempSync(path.join(tmpdir(), 'git-repository-'));
    chmodSync(this.root, 0o755);
    this.directory = path.join(this.root, name);
    this.url = pathToFileURL(this.directory).href;
    execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', this.directory], { env });
  }

  /** Adds a commit with these files changed, and returns its name. */
  public commit(files: Readonly<Record<string, GitFile>>, options: GitCommitOptions = {}): string {
    const {
      branch = 'main',
      message = 'A commit',
      authorName = 'Ada Lovelace',
      authorEmail = 'ada@example.com',
    } = options;
    const { parent = this.find(`refs/heads/${branch}`) } = options;
    this.clock += 60;
    const person = `${authorName} <${authorEmail}> ${this.clock} +0000`;
    const stream = [
      `commit refs/heads/${branch}\nauthor ${person}\ncommitter ${person}\n${data(message)}`,
      ...(parent === null ? [] : [`from ${parent}\n`]),
      ...Object.entries(files).map(([name, file]) => change(name, file)),
    ];
    // Without a parent fast-import would go on from the branch.
    const reset = parent === null ? `reset refs/heads/${branch}\n` : '';
    this.git(['fast-import', '--quiet', '--force', '--date-format=raw'], reset + stream.join(''));
    return this.git(['rev-parse', `refs/heads/${branch}`]);
  }

  /** Tags a commit; with a message, by a tag object. */
  public tag(name: string, commit: string, message?: string): void {
    const person = ['-c', 'user.name=Tagger', '-c', 'user.email=tagger@example.com'];
    const annotated = message === undefined ? [] : ['--annotate', '--message', message];
    this.git([...person, 'tag', ...annotated, name, commit]);
  }

  /** Deletes a branch; its commits stay until `prune`. */
  public deleteBranch(name: string): void {
    this.git(['update-ref', '-d', `refs/heads/${name}`]);
  }

  /** Removes all that no ref reaches. */
  public prune(): void {
    this.git(['gc', '--quiet', '--prune=now']);
  }

  /** Runs git in the repository and returns what it printed. */
  public git(args: readonly string[], input?: string): string {
    return execFileSync('git', args, { cwd: this.directory, env, input, encoding: 'utf8' }).trim();
  }

  public remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private find(ref: string): string | null {
    const found = this.git(['for-each-ref', '--format=%(objectname)', ref]);
    return found === '' ? null : found;
  }
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}

function change(name: string, file: GitFile): string {
  // fast-import reads a quoted path like a string of C.
  const quoted = `"${name.replace(/["\\]/g, '\\$&').replaceAll('\r', '\\r').replaceAll('\n', '\\n')}"`;
  if (file === null) return `D ${quoted}\n`;
  if (typeof file === 'string') return `M 100644 inline ${quoted}\n${data(file)}`;
  if ('executable' in file) return `M 100755 inline ${quoted}\n${data(file.executable)}`;
  if ('symlink' in file) return `M 120000 inline ${quoted}\n${data(file.symlink)}`;
  return `M 160000 ${file.submodule} ${quoted}\n`;
}
