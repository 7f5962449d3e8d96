import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildahPlace } from './buildah-place';
import { readEngineLine } from './engine-output';
import { BuildFailure, type BuildOutput } from '../image-builder';
import type { RegistryAuth } from './registry-auth';
import { readRegistryFailure } from './registry-failure';

/** The engine's own second try, which cannot be turned off, comes at once. */
const engineRetry: readonly string[] = ['--retry', '1', '--retry-delay', '500ms'];

/** Waits before each further try, in milliseconds: a registry that is started anew is there again in time. */
const backoffMs: readonly number[] = [1_000, 4_000, 16_000];

const tries = backoffMs.length + 1;

export interface RegistryTask {
  /** The step under which its lines stand in the log. */
  readonly step: string;
  /** How the failure's message begins, such as `base image "x"`. */
  readonly subject: string;
  readonly auth: RegistryAuth;
  /** Such as `registry.test:5000`; null: none is asked. */
  readonly registry: string | null;
  /** The arguments of buildah without the credentials, which follow the first of them. */
  readonly args: readonly [command: string, ...rest: string[]];
}

/**
 * Pulls and pushes: no code of a repository runs here, so these commands have the credentials. Where they connect to is
 * decided by the Dockerfile and the project, so they have the cage's own network.
 */
export class RegistryClient {
  public constructor(
    private readonly place: BuildahPlace,
    private readonly output: BuildOutput,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Tells at once what the cage's network would refuse; else tries up to four times where the trouble may pass.
   * @throws BuildFailure with the cause in plain words.
   */
  public async run(task: RegistryTask): Promise<void> {
    const refusal = task.registry === null ? null : await this.place.refusal(task.registry);
    if (refusal !== null) throw new BuildFailure(`${task.subject}: ${refusal}`);
    for (let attempt = 0; ; attempt += 1) {
      const error = await this.attempt(task);
      if (error === null) return;
      const { reason, transient } = readRegistryFailure(error, Object.keys(task.auth.auths).length > 0);
      if (!transient) throw new BuildFailure(`${task.subject}: ${reason}`);
      const wait = backoffMs[attempt];
      if (wait === undefined) throw new BuildFailure(`${task.subject}: ${reason} (after ${tries} tries)`);
      const next = `try ${attempt + 2} of ${tries} follows in ${wait / 1_000} s`;
      await this.output.line('WARN', `${task.subject}: ${reason}; ${next}`, task.step);
      await sleep(wait, undefined, { signal: this.signal }).catch(() => undefined);
      this.signal.throwIfAborted();
    }
  }

  /** Null, or the engine's last error. */
  private async attempt({ step, auth, registry, args: [command, ...rest] }: RegistryTask): Promise<string | null> {
    let error = '';
    const network = registry === null ? 'none' : 'own';
    const { exitCode } = await this.place.withAuth(network, auth, [command, ...engineRetry, ...rest], {
      signal: this.signal,
      onLine: ({ text }) => {
        if (text.startsWith('Error: ')) error = text.slice('Error: '.length);
        const { level, message } = readEngineLine(text);
        return this.output.line(text.startsWith('Error: ') ? 'ERROR' : level, message, step);
      },
    });
    return exitCode === 0 ? null : error || `the build engine ended with exit code ${exitCode ?? 'none'}`;
  }
}
