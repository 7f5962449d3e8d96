import { GitRepository, type GitCommitOptions, type GitFile } from './git-repository';

/** The beginning of a Dockerfile whose image can run a shell. */
export const shell = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n';

/** How many steps that beginning has. */
export const shellSteps = 3;

const busybox = '/bin/busybox';

/** A repository for real builds: every branch has a static busybox beside its own files. */
export class BuildRepository {
  public readonly git = new GitRepository();
  private readonly root: string;

  public constructor() {
    const person = ['-c', 'user.name=Nobody', '-c', 'user.email=nobody@example.com'];
    const program = this.git.git(['hash-object', '-w', busybox]);
    const tree = this.git.git(['mktree'], `100755 blob ${program}\tbusybox\n`);
    this.root = this.git.git([...person, 'commit-tree', '-m', 'A busybox', tree]);
  }

  /** Lets a service read it. */
  public get settings(): Record<string, string> {
    return { GIT_ALLOWED_FILE_ROOT: this.git.root };
  }

  /** Makes a branch with these files, or puts it where it has only these; returns its commit. */
  public branch(name: string, files: Readonly<Record<string, GitFile>>, options: GitCommitOptions = {}): string {
    return this.git.commit(files, { branch: name, parent: this.root, ...options });
  }

  /** Makes a branch whose Dockerfile goes on in a shell; returns its commit. */
  public script(name: string, ...instructions: readonly string[]): string {
    return this.branch(name, { Dockerfile: `${shell}${instructions.join('\n')}\n` });
  }

  public remove(): void {
    this.git.remove();
  }
}
