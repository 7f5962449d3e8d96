import { Inject, Injectable, Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { LeaseLost } from '../build-logs/lease-lost';
import { logEntry, type LogEntry } from '../build-logs/log-entry';
import { LogPublisher } from '../build-logs/log-publisher';
import type { LogWriter } from '../build-logs/log-writer';
import { LogWriters } from '../build-logs/log-writers';
import { ENV, type Env } from '../config/env';
import { isDatabaseUnavailable } from '../database/database-errors';
import type { BuildLogAppended } from '../events/build-events';
import { ArtifactStore } from './artifact-store';
import { BuildQueueRepository, type Claim, type Ending } from './build-queue.repository';
import { buildSecrets, type BuildSecrets } from './build-secrets';
import { DiskGuard } from './disk-guard';
import { failureMessage } from './failure-message';
import { LogBudget } from './log-budget';
import { BuildFailure, type BuildOutput, IMAGE_BUILDER, type ImageBuilder, type TimeLimit } from './image-builder';
import { BuildStopped, Lease } from './lease';
import { operatorMask } from './operator-mask';
import { plainLine } from './process/plain-line';
import { SecretMask } from './process/secret-mask';
import { ProgressWriter } from './progress-writer';
import { SecretUnreadable, SecretVault } from '../secrets/secret-vault';
import { withinLimit } from './time-limit';
import { type Workspace, Workspaces } from './workspaces';

/** What the reaper says as well: whoever comes first records it, also when the database is back before the lease ends. */
const lost: Ending = { status: 'failed', message: 'worker lost' };

/** In bytes, of what is told of a build that failed. */
const longestMessage = 4_096;

/** Between two tries to record how a build ended while the database does not answer. */
const retryMs = 500;

/** A build that this worker runs. */
export interface Run {
  /** Resolves when the build is recorded and nothing of it is left on this machine; never rejects. */
  readonly ended: Promise<void>;
  /** Ends the build as failed, for a reason that a person understands. */
  fail(reason: string): void;
  /** Looks whether the build was cancelled or deleted. */
  check(): Promise<void>;
}

/** Runs one claimed build from the checkout to its record. */
@Injectable()
export class BuildRunner {
  private readonly logger = new Logger(BuildRunner.name);

  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) private readonly builder: ImageBuilder,
    private readonly dataSource: DataSource,
    private readonly queue: BuildQueueRepository,
    private readonly writers: LogWriters,
    private readonly publisher: LogPublisher,
    private readonly workspaces: Workspaces,
    private readonly artifacts: ArtifactStore,
    private readonly disk: DiskGuard,
    private readonly vault: SecretVault,
  ) {}

  public start(claim: Claim): Run {
    const stopping = new AbortController();
    const stop = (reason: Error): void => {
      stopping.abort(reason);
    };
    const lease = new Lease(this.queue, claim, this.env.LEASE_SECONDS, stop);
    return {
      ended: this.run(claim, lease, stopping.signal, stop),
      fail: (reason) => {
        stop(new BuildFailure(reason));
      },
      check: () => lease.renew(),
    };
  }

  private async run(claim: Claim, lease: Lease, signal: AbortSignal, stop: (reason: Error) => void): Promise<void> {
    const log = this.writers.open(claim.id, claim.token);
    void log.lost.then((reason) => {
      if (reason instanceof LeaseLost) return lease.renew();
      stop(reason);
    });
    const progress = new ProgressWriter(this.queue, claim);
    try {
      const budget = new LogBudget(this.env.MAX_LOG_BYTES, stop);
      const ending = await this.work(claim, outputOf(log, progress, budget), progress, signal);
      await this.record(claim, log, progress, ending);
    } catch (error) {
      this.logger.error(error, `Build ${claim.id} could not be recorded; its lease ends by itself`);
    } finally {
      lease.release();
      log.stop();
    }
  }

  /** Null: the build was withdrawn. */
  private async work(
    claim: Claim,
    raw: BuildOutput,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<Ending | null> {
    let mask = new SecretMask([]);
    try {
      const secrets = await this.secretsOf(claim, signal);
      mask = new SecretMask([], [secrets.mask, await operatorMask(this.env)]);
      const output = plainOutput(raw, mask);
      const limit = { part: 'build', seconds: claim.timeoutSeconds, setBy: "the project's build_timeout_seconds" };
      return await withinLimit(limit, signal, (limited) => this.build(claim, secrets, output, progress, limited));
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error;
      if (reason instanceof BuildStopped) return reason.why === 'lost' ? lost : null;
      const message = failureMessage(reason);
      if (message !== null) return { status: 'failed', message: plainLine(message, mask, longestMessage) };
      this.logger.error(reason, `Build ${claim.id} failed by an error of ours`);
      return {
        status: 'failed',
        message: `Internal error of the worker; the operator finds it in the log by build ${claim.id}`,
      };
    }
  }

  /** As they are now: what is stored later is for later builds. */
  private async secretsOf({ tenantId, projectId }: Claim, signal: AbortSignal): Promise<BuildSecrets> {
    try {
      return buildSecrets(await answered(() => this.vault.open({ tenantId, projectId }), signal));
    } catch (error) {
      throw error instanceof SecretUnreadable ? new BuildFailure(error.message, { cause: error }) : error;
    }
  }

  private async build(
    claim: Claim,
    secrets: BuildSecrets,
    output: BuildOutput,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<Ending> {
    const workspace = await this.workspaces.open(claim.id);
    try {
      return await this.disk.withinLimits({ ...claim, checkoutDir: workspace.checkoutDir }, signal, (limited) =>
        this.buildIn(workspace, claim, secrets, output, progress, limited),
      );
    } finally {
      await this.clear(claim, workspace);
    }
  }

  private async buildIn(
    workspace: Workspace,
    claim: Claim,
    secrets: BuildSecrets,
    output: BuildOutput,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<Ending> {
    await output.line('INFO', `Checking out ${claim.gitBranch}`, 'checkout');
    const commit = await withinLimit(this.checkoutLimit, signal, (limited) =>
      workspace.checkOut(claim, secrets, output, limited),
    );
    await answered(() => this.queue.saveCommit(claim, commit), signal);
    progress.update({ stepsDone: 1 });
    await output.line('INFO', `At commit ${commit.commit}`, 'checkout');

    const image = await this.builder.build(
      {
        buildId: claim.id,
        projectId: claim.projectId,
        checkoutDir: workspace.checkoutDir,
        dockerfilePath: claim.dockerfilePath,
        contextPath: claim.contextPath,
        buildArgs: claim.buildArgs,
        imageRepository: claim.imageRepository,
        tag: `${claim.buildNumber}-${commit.commit.slice(0, 12)}`,
        archivePath: await this.artifacts.pathFor(claim.id),
        registryPrefixes: claim.registryPrefixes,
        secrets,
        publishLimit: this.publishLimit(claim),
      },
      output,
      signal,
    );
    const archive = image.reference === null ? this.artifacts.nameOf(claim.id) : null;
    return { status: 'success', digest: image.digest, reference: image.reference, archive };
  }

  private get checkoutLimit(): TimeLimit {
    return { part: 'checkout', seconds: this.env.CHECKOUT_TIMEOUT_SECONDS, setBy: 'CHECKOUT_TIMEOUT_SECONDS' };
  }

  private publishLimit({ imageRepository }: Claim): TimeLimit {
    const part = imageRepository === null ? 'writing of the image archive' : 'push of the image';
    return { part, seconds: this.env.PUSH_TIMEOUT_SECONDS, setBy: 'PUSH_TIMEOUT_SECONDS' };
  }

  /** What cannot be removed now is no fault of the build; the next sweep tries again. */
  private async clear({ id }: Claim, workspace: Workspace): Promise<void> {
    try {
      await workspace.remove();
    } catch (error) {
      this.logger.warn(`The workspace of build ${id} was not removed: ${String(error)}`);
    }
  }

  /** Writes the end of the build and of its log in one transaction, until the database has taken it or the lease is over. */
  private async record(claim: Claim, log: LogWriter, progress: ProgressWriter, ending: Ending | null): Promise<void> {
    for (let tries = (this.env.LEASE_SECONDS * 1000) / retryMs; ; tries -= 1) {
      try {
        await log.drain();
        const { isOurs, event } = await this.dataSource.transaction((manager) =>
          this.recordIn(manager, claim, log, progress, ending),
        );
        this.publisher.publish(event);
        if (!isOurs) await this.dropArchive(claim);
        return;
      } catch (error) {
        if (tries <= 0 || !isDatabaseUnavailable(error)) throw error;
        await sleep(retryMs);
      }
    }
  }

  private async recordIn(
    manager: EntityManager,
    claim: Claim,
    log: LogWriter,
    progress: ProgressWriter,
    ending: Ending | null,
  ): Promise<{ readonly isOurs: boolean; readonly event: BuildLogAppended | null }> {
    if (ending !== null && (await this.queue.finish(manager, claim, ending, progress.current))) {
      const event = await log.finish(manager, ending.status, [lastLine(ending)]);
      // An end without its last lines would hide that lines are missing: then the reaper ends the build.
      if (event === null) throw new Error(`The log of build ${claim.id} took no last line`);
      return { isOurs: true, event };
    }
    const released = await this.queue.release(manager, claim.id, claim.token);
    if (released === null || released.isDeleted) return { isOurs: false, event: null };
    return { isOurs: false, event: await log.finish(manager, released.status, [logEntry('INFO', 'Build stopped')]) };
  }

  /** The record may be ours after all, when the first try was stored and only its answer was lost. */
  private async dropArchive({ id }: Claim): Promise<void> {
    if (!(await this.queue.keepsArchive(id))) await this.artifacts.remove(this.artifacts.nameOf(id));
  }
}

/** What a running build has to say waits for the database, as its log does; the lease decides for how long. */
async function answered<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
      signal.throwIfAborted();
    }
  }
}

function lastLine(ending: Ending): LogEntry {
  return ending.status === 'success'
    ? logEntry('INFO', `Build succeeded: ${ending.reference ?? ending.digest}`, { step: 'publish' })
    : logEntry('ERROR', `Build failed: ${ending.message}`);
}

/** The checkout is the first step; the engine counts its own from 1. */
function outputOf(log: LogWriter, progress: ProgressWriter, budget: LogBudget): BuildOutput {
  return {
    line: (level, message, step) => (budget.spend(message) ? log.write(logEntry(level, message, { step })) : undefined),
    stepsTotal: (total) => {
      progress.update({ stepsTotal: total + 1 });
    },
    stepsDone: (done) => {
      progress.update({ stepsDone: done + 1 });
    },
  };
}

/** Lines of commands are made plain and masked as they are read; ours may quote the repository. */
function plainOutput(output: BuildOutput, mask: SecretMask): BuildOutput {
  return {
    line: (level, message, step) => output.line(level, plainLine(message, mask), step),
    stepsTotal: (total) => {
      output.stepsTotal(total);
    },
    stepsDone: (done) => {
      output.stepsDone(done);
    },
  };
}
