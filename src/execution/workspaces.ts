import { Inject, Injectable } from '@nestjs/common';
import path from 'node:path';
import { ENV, type Env } from '../config/env';
import type { Claim } from './build-queue.repository';
import type { BuildSecrets } from './build-secrets';
import { Cage } from './cage/cage';
import { type CheckedOut, GitCheckout } from './git/git-checkout';
import type { BuildOutput } from './image-builder';
import { ScratchDirs } from './files/scratch-dirs';

/** The directory in which one build has its checkout. */
export interface Workspace {
  readonly checkoutDir: string;
  /** Fills the checkout directory. */
  checkOut(claim: Claim, secrets: BuildSecrets, output: BuildOutput, signal: AbortSignal): Promise<CheckedOut>;
  remove(): Promise<void>;
}

/** The share of the limit of a checkout that one silence of its server may take: three tries fit in. */
const silentShare = 1 / 5;

/** Makes and removes the workspaces of builds below DATA_DIR. */
@Injectable()
export class Workspaces {
  private readonly scratch: ScratchDirs;

  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly cage: Cage,
  ) {
    this.scratch = new ScratchDirs(env.DATA_DIR, 'workspaces');
  }

  public async open(buildId: string): Promise<Workspace> {
    const directory = await this.scratch.next(buildId);
    const checkoutDir = path.join(directory, 'checkout');
    try {
      await this.cage.makeDir(checkoutDir);
    } catch (error) {
      this.scratch.release(directory);
      throw error;
    }
    return {
      checkoutDir,
      checkOut: (claim, secrets, output, signal) => this.checkOut(checkoutDir, claim, secrets, output, signal),
      remove: () => this.remove(directory),
    };
  }

  /** Removes what killed workers of this host left behind, and what could not be removed before. */
  public async sweep(signal?: AbortSignal): Promise<void> {
    await this.scratch.sweep((directory) => this.cage.removeDir(directory, signal));
    await this.cage.sweep();
  }

  private async remove(directory: string): Promise<void> {
    await this.cage.removeDir(directory).finally(() => {
      this.scratch.release(directory);
    });
  }

  private checkOut(
    checkoutDir: string,
    claim: Claim,
    { git: credentials, mask }: BuildSecrets,
    output: BuildOutput,
    signal: AbortSignal,
  ): Promise<CheckedOut> {
    const { GIT_ALLOWED_FILE_ROOT: root, GIT_ALLOWED_PROTOCOLS: allowedProtocols } = this.env;
    const view = this.cage.view({
      writable: { checkout: checkoutDir },
      ...(root === undefined ? {} : { readOnly: { repositories: root } }),
    });
    const git = new GitCheckout({
      // A fetch alone goes out; what it brought is read without a network.
      launch: (command, options, reach) => view.run(reach === 'server' ? 'own' : 'none')(command, { ...options, mask }),
      allowedProtocols,
      allowedPrivateHosts: this.env.BUILD_EGRESS_ALLOW,
      allowedFileRoot: root,
      patienceSeconds: Math.ceil(this.env.CHECKOUT_TIMEOUT_SECONDS * silentShare),
      ...(root === undefined ? {} : { fileRootInside: view.inside(root) }),
    });
    const { repositoryUrl, gitBranch, gitCommit, commitVerified } = claim;
    const dir = view.inside(checkoutDir);
    const request = { repositoryUrl, branch: gitBranch, commit: gitCommit, commitVerified, dir, credentials };
    return git.checkout(request, output, signal);
  }
}
