import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { Caller } from '../access/caller';
import type { Identity } from '../access/identity';
import type { Resource } from '../audit/audit-event';
import { AuditLog } from '../audit/audit-log';
import { isUniqueViolation } from '../database/database-errors';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import type { ProjectEntity } from '../projects/project.entity';
import { ProjectsRepository } from '../projects/projects.repository';
import { gitOriginOf } from './git-origin';
import { mostBytes, mostSecrets } from './secret';
import { SecretVault } from './secret-vault';
import { type PutSecretDto, type SecretListDto, toSecret } from './secret.dto';
import { SecretsRepository } from './secrets.repository';

@Injectable()
export class SecretsService {
  public constructor(
    private readonly dataSource: DataSource,
    private readonly projects: ProjectsRepository,
    private readonly secrets: SecretsRepository,
    private readonly vault: SecretVault,
    private readonly audit: AuditLog,
  ) {}

  public async put(caller: Caller, projectId: string, name: string, request: PutSecretDto): Promise<void> {
    const { tenantId } = caller;
    checkFields(request);
    const project = await this.found(tenantId, projectId);
    if (!this.vault.isOpen) {
      throw new ApiError(501, 'This service keeps no secrets: its operator has not set SECRETS_KEY');
    }
    const { kind, value } = request;
    const place = {
      tenantId,
      projectId,
      name,
      kind,
      scope: scopeOf(request, project),
      username: request.username ?? null,
    };
    const sealed = this.vault.seal(value, place);
    const outcome = await this.unique(async (manager) => {
      const stored = await this.secrets.put(manager, { ...place, bytes: Buffer.byteLength(value), sealed });
      if (stored === 'stored') {
        await this.audit.record(manager, caller, {
          action: 'secret.put',
          resource: resourceOf(projectId, name),
          details: { kind },
        });
      }
      return stored;
    });
    if (outcome === 'no such project') throw notFound();
    if (outcome === 'too many') throw new ApiError(409, `The project has ${mostSecrets} secrets; delete one first`);
    if (outcome === 'too long together') {
      throw new ApiError(409, `The secrets of a project may have at most ${mostBytes / 1024} KiB together`);
    }
  }

  public async list({ tenantId }: Identity, projectId: string): Promise<SecretListDto> {
    await this.found(tenantId, projectId);
    return { secrets: (await this.secrets.list({ tenantId, projectId })).map(toSecret) };
  }

  public async delete(caller: Caller, projectId: string, name: string): Promise<void> {
    const { tenantId } = caller;
    await this.found(tenantId, projectId);
    await transact(this.dataSource, async (manager) => {
      const isGone = await this.secrets.delete(manager, { tenantId, projectId }, name);
      if (!isGone) throw new ApiError(404, 'Secret not found');
      await this.audit.record(manager, caller, { action: 'secret.delete', resource: resourceOf(projectId, name) });
    });
  }

  private async found(tenantId: string, projectId: string): Promise<ProjectEntity> {
    const project = await this.projects.find(tenantId, projectId);
    if (project === null) throw notFound();
    return project;
  }

  private async unique<Result>(work: (manager: EntityManager) => Promise<Result>): Promise<Result> {
    try {
      return await transact(this.dataSource, work);
    } catch (error) {
      if (!isUniqueViolation(error, 'project_secrets_scope_key')) throw error;
      throw new ApiError(409, 'The project has another secret for the same server; delete it first', null, {
        cause: error,
      });
    }
  }
}

function resourceOf(projectId: string, name: string): Resource {
  return { type: 'secret', id: `${projectId}/${name}` };
}

function notFound(): ApiError {
  return new ApiError(404, 'Project not found');
}

function checkFields({ kind, value, username, registry }: PutSecretDto): void {
  const problems: Record<string, string> = {};
  if (kind !== 'build' && username === undefined) problems.username = `is needed for the kind ${kind}`;
  if (kind === 'build' && username !== undefined) problems.username = 'is for the kinds git and registry';
  if (kind === 'registry' && registry === undefined) problems.registry = 'is needed for the kind registry';
  if (kind !== 'registry' && registry !== undefined) problems.registry = 'is for the kind registry';
  // Pasted line ends are the usual slip; a server would only say that the password is wrong.
  if (kind !== 'build' && /\p{Cc}/u.test(value)) problems.value = 'must not contain control characters or line ends';
  if (Object.keys(problems).length > 0) throw ApiError.badFields(problems);
}

/** A credential of git goes where the project's repository is now, and does not follow it to another server. */
function scopeOf({ kind, registry }: PutSecretDto, { repositoryUrl }: ProjectEntity): string | null {
  if (kind !== 'git') return registry ?? null;
  const origin = gitOriginOf(repositoryUrl);
  if (origin !== null) return origin;
  throw ApiError.badFields({ kind: "cannot be git: the project's repository_url is not one of https" });
}
