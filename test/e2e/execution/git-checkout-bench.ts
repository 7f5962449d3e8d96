import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type CheckedOut,
  type CheckoutRequest,
  GitCheckout,
  type GitCheckoutOptions,
} from '../../../src/execution/git/git-checkout';
import { type RunProcess, runProcess } from '../../../src/execution/process/run-process';

/** One checkout into a fresh directory, and what was logged and launched. */
export class GitCheckoutBench {
  /** `LEVEL message`. */
  public readonly lines: string[] = [];
  public readonly commands: (readonly string[])[] = [];
  /** Holds nothing but the checkout. */
  public readonly base = mkdtempSync(path.join(tmpdir(), 'git-checkout-'));
  public readonly dir = path.join(this.base, 'checkout');

  public constructor(
    private readonly run: RunProcess = runProcess,
    private readonly options: Partial<GitCheckoutOptions> = {},
    /** What the environment would hold if git were not given another. */
    private readonly env: Readonly<Record<string, string>> = {},
  ) {
    mkdirSync(this.dir);
  }

  public checkout(
    repositoryUrl: string,
    request: Partial<CheckoutRequest>,
    signal = new AbortController().signal,
  ): Promise<CheckedOut> {
    const launch: RunProcess = (command, options) => {
      this.commands.push(command);
      return this.run(command, { ...options, env: { PATH: process.env.PATH ?? '', ...this.env, ...options.env } });
    };
    const git = new GitCheckout({
      ...{ launch, allowedProtocols: ['http'], allowedFileRoot: tmpdir(), retryDelaysMs: [50, 50] },
      allowedPrivateHosts: URL.canParse(repositoryUrl) ? [new URL(repositoryUrl).host] : [],
      ...this.options,
    });
    const output = {
      line: (level: string, message: string) => void this.lines.push(`${level} ${message}`),
      stepsTotal: () => undefined,
      stepsDone: () => undefined,
    };
    const usual = { branch: 'main', commit: null, commitVerified: false, dir: this.dir };
    return git.checkout({ repositoryUrl, ...usual, ...request }, output, signal);
  }

  /** What the top of the checkout holds but for `.git`. */
  public files(): string[] {
    return readdirSync(this.dir)
      .filter((name) => name !== '.git')
      .sort();
  }

  public remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}
