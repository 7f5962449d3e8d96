import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { Caller } from '../access/caller';
import type { Identity } from '../access/identity';
import { AuditLog, type Deed } from '../audit/audit-log';
import { BuildLogsRepository } from '../build-logs/build-logs.repository';
import { buildNotFound } from '../build-logs/build-not-found';
import { asPartOfLine, logEntry } from '../build-logs/log-entry';
import { LogPublisher } from '../build-logs/log-publisher';
import { isUniqueViolation } from '../database/database-errors';
import { Notifications } from '../database/notifications';
import { transact, untilDecided } from '../database/transact';
import { ApiError } from '../http/api-error';
import { Idempotency } from '../http/idempotency';
import { pageOf } from '../http/page';
import { lockForDeletion } from '../projects/deletion-lock';
import { ProjectsRepository } from '../projects/projects.repository';
import type { CancelBuildDto, CreateBuildDto, ListBuildsQuery } from './build-requests.dto';
import type { BuildStatus } from './build-state';
import { type BuildDto, type BuildListDto, toBuild } from './build.dto';
import { BuildsRepository, type ChangedBuild, type MadeBuild } from './builds.repository';

const startedMessage = 'Build #{number} started; waiting for a worker, place {place} in the queue';

/** How many builds of a project one statement hides, so that it stays far from its time limit. */
const hiddenAtOnce = 2_000;

/** Ends a transaction that has nothing to make. */
class NothingMade extends Error {}

@Injectable()
export class BuildsService {
  public constructor(
    private readonly dataSource: DataSource,
    private readonly builds: BuildsRepository,
    private readonly projects: ProjectsRepository,
    private readonly logs: BuildLogsRepository,
    private readonly publisher: LogPublisher,
    private readonly notifications: Notifications,
    private readonly idempotency: Idempotency,
    private readonly audit: AuditLog,
  ) {}

  public async create(caller: Caller, request: CreateBuildDto, key: string | null): Promise<BuildDto> {
    const projectId = request.project_id.toLowerCase();
    const gitBranch = request.git_branch;
    const gitCommit = request.git_commit?.toLowerCase() ?? null;
    const buildArgs = request.build_args ?? {};
    // Sorted, as the order of members in a JSON object means nothing: some clients change it when they repeat a request.
    const sortedArgs = Object.entries(buildArgs).sort(([a], [b]) => (a < b ? -1 : 1));
    const asked = ['createBuild', projectId, gitBranch, gitCommit, sortedArgs];
    const { tenantId, userId: createdBy } = caller;
    const deed = { action: 'build.create', details: { project_id: projectId } } as const;
    const build = await this.makeOnce(caller, key, asked, deed, (manager, id) =>
      this.builds.insert(manager, { id, tenantId, projectId, gitBranch, gitCommit, buildArgs, createdBy }),
    );
    if (build === null) throw new ApiError(403, 'You do not have access to this project, or it does not exist');
    return build;
  }

  public async retry(caller: Caller, id: string, key: string | null): Promise<BuildDto> {
    const { tenantId, userId: createdBy } = caller;
    try {
      const deed = { action: 'build.retry', details: { retry_of: id } } as const;
      const build = await this.makeOnce(caller, key, ['retryBuild', id], deed, (manager, newId) =>
        this.builds.insertRetry(manager, { id: newId, tenantId, createdBy }, id),
      );
      if (build !== null) return build;
    } catch (error) {
      if (isUniqueViolation(error, 'builds_active_retry_key')) {
        const message = 'A retry of this build is queued or in progress already';
        throw new ApiError(409, message, null, { cause: error });
      }
      throw error;
    }
    return this.refuse(caller, id, (status) => `Only a failed build can be retried; this one is ${status}`);
  }

  public async list({ tenantId }: Identity, request: ListBuildsQuery): Promise<BuildListDto> {
    const [builds, total] = await Promise.all([
      this.builds.list(tenantId, request),
      this.builds.count(tenantId, request.project_id, request.status),
    ]);
    return { builds: builds.map(toBuild), ...pageOf(request, total) };
  }

  public async get({ tenantId }: Identity, id: string): Promise<BuildDto> {
    const build = await this.builds.find(tenantId, id);
    if (build === null) throw buildNotFound();
    return toBuild(build);
  }

  public async start(caller: Caller, id: string): Promise<BuildDto> {
    const event = this.audit.parameter(caller, { action: 'build.start', resource: { type: 'build', id } });
    const key = { tenantId: caller.tenantId, id };
    const started = await untilDecided(() => this.builds.start(this.dataSource, key, startedMessage, event));
    if (started === null) {
      return this.refuse(caller, id, (status) => `Only a queued build can be started; this one is ${status}`);
    }
    this.announceStart(started);
    return toBuild(started.build);
  }

  /** Once this returns, no later outcome can replace `cancelled`; the worker ends the process tree and the log. */
  public async cancel(caller: Caller, id: string, { reason }: CancelBuildDto): Promise<BuildDto> {
    const text = reason === undefined || reason === '' ? null : reason;
    const asked = text === null ? 'Cancelled by request' : `Cancelled by request: ${asPartOfLine(text)}`;
    const lines = [logEntry('WARN', asked), logEntry('INFO', 'Stopped before a worker took it')] as const;
    const event = this.audit.parameter(caller, { action: 'build.cancel', resource: { type: 'build', id } });
    const key = { tenantId: caller.tenantId, id };
    const cancelled = await this.withdrawing(id, () => untilDecided(() => this.builds.cancel(key, text, lines, event)));
    if (cancelled === null) {
      return this.refuse(caller, id, (status) => `Only a build in progress can be cancelled; this one is ${status}`);
    }
    this.publisher.publish(cancelled.log);
    this.notifications.wake({ kind: 'control', buildId: id });
    return toBuild(cancelled.build);
  }

  public async delete(caller: Caller, id: string): Promise<void> {
    const { tenantId } = caller;
    const logs = await this.withdrawing(id, () =>
      transact(this.dataSource, async (manager) => {
        const hidden = await this.builds.markDeleted(manager, tenantId, { id }, 1);
        if (hidden.length === 0) return null;
        await this.audit.record(manager, caller, { action: 'build.delete', resource: { type: 'build', id } });
        return this.logs.markDeleted(manager, hidden);
      }),
    );
    if (logs === null) throw buildNotFound();
    for (const log of logs) this.publisher.publish(log);
    this.notifications.wake({ kind: 'control', buildId: id });
  }

  /** Deletes a project with all of its builds, however many they are. */
  public async deleteProject(caller: Caller, projectId: string): Promise<void> {
    const { tenantId } = caller;
    await transact(this.dataSource, async (manager) => {
      await lockForDeletion(manager, projectId);
      // The builds first: everybody locks builds before their project.
      for (;;) {
        const hidden = await this.builds.markDeleted(manager, tenantId, { projectId }, hiddenAtOnce);
        if (hidden.length === 0) break;
        await this.logs.markDeleted(manager, hidden);
      }
      if (!(await this.projects.markDeleted(manager, tenantId, projectId)))
        throw new ApiError(404, 'Project not found');
      await this.audit.record(manager, caller, {
        action: 'project.delete',
        resource: { type: 'project', id: projectId },
      });
    });
    // Everybody looks at what they have in hand, in place of being told of each build.
    this.notifications.wake({ kind: 'resync' });
  }

  /** When the answer to the commit is lost the build may be withdrawn all the same: then its worker is to look. */
  private async withdrawing<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      this.notifications.wake({ kind: 'control', buildId: id });
      throw error;
    }
  }

  /**
   * Makes a build and its log in one transaction, once for each idempotency key, and starts it if its project says so.
   * @returns null when there is nothing to make it of, and then nothing was made.
   */
  private async makeOnce(
    caller: Caller,
    key: string | null,
    request: readonly unknown[],
    deed: Pick<Deed, 'action' | 'details'>,
    insert: (manager: EntityManager, id: string) => Promise<MadeBuild | null>,
  ): Promise<BuildDto | null> {
    const { tenantId } = caller;
    const started: ChangedBuild[] = [];
    const make = async (manager: EntityManager): Promise<BuildDto> => {
      // The log and the event first: a new build locks its project until the commit, and all other new ones of it wait.
      const id = randomUUID();
      await this.logs.create(manager, id, tenantId);
      await this.audit.record(manager, caller, { ...deed, resource: { type: 'build', id } });
      const made = await insert(manager, id);
      if (made === null) throw new NothingMade();
      const start = made.autoStart ? await this.builds.start(manager, { tenantId, id }, startedMessage, null) : null;
      if (start !== null) started.push(start);
      return toBuild(start?.build ?? made.build);
    };
    try {
      const answer = await this.dataSource.transaction((manager) =>
        key === null ? make(manager) : this.idempotency.once(manager, { tenantId, key, request }, () => make(manager)),
      );
      for (const start of started) this.announceStart(start);
      return answer;
    } catch (error) {
      if (error instanceof NothingMade) return null;
      throw error;
    }
  }

  private announceStart({ log }: ChangedBuild): void {
    this.publisher.publish(log);
    this.notifications.wake({ kind: 'queue' });
  }

  /** Says why a transition changed no row: the build is not there, or is not where it must be. */
  private async refuse({ tenantId }: Identity, id: string, because: (status: BuildStatus) => string): Promise<never> {
    const build = await this.builds.find(tenantId, id);
    if (build === null) throw buildNotFound();
    throw new ApiError(409, because(build.status));
  }
}
