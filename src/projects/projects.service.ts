import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { Caller } from '../access/caller';
import type { Identity } from '../access/identity';
import { AuditLog } from '../audit/audit-log';
import { ENV, type Env } from '../config/env';
import { isUniqueViolation } from '../database/database-errors';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import { pageOf, type PageQuery } from '../http/page';
import { repositoryUrlProblem } from './git-policy';
import {
  type CreateProjectDto,
  type ProjectDto,
  type ProjectListDto,
  toProject,
  type UpdateProjectDto,
} from './project.dto';
import type { ProjectEntity } from './project.entity';
import { type ProjectChange, ProjectsRepository } from './projects.repository';

function withoutUndefined<Value extends object>(value: Value): Partial<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Partial<Value>;
}

@Injectable()
export class ProjectsService {
  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly dataSource: DataSource,
    private readonly projects: ProjectsRepository,
    private readonly audit: AuditLog,
  ) {}

  public async create(caller: Caller, request: CreateProjectDto): Promise<ProjectDto> {
    const { tenantId } = caller;
    this.checkUrl(request.repository_url);
    return this.named(async (manager) => {
      const project = await this.projects.insert(manager, {
        tenantId,
        name: request.name,
        repositoryUrl: request.repository_url,
        defaultBranch: request.default_branch ?? 'main',
        dockerfilePath: request.dockerfile_path ?? 'Dockerfile',
        contextPath: request.context_path ?? '.',
        imageRepository: request.image_repository ?? null,
        buildTimeoutSeconds: request.build_timeout_seconds ?? 3600,
        autoStart: request.auto_start ?? false,
        buildArgs: request.build_args ?? {},
      });
      await this.audit.record(manager, caller, {
        action: 'project.create',
        resource: { type: 'project', id: project.id },
      });
      return toProject(project);
    });
  }

  public async list({ tenantId }: Identity, page: PageQuery): Promise<ProjectListDto> {
    const [projects, total] = await this.projects.list(tenantId, page);
    return {
      projects: projects.map(toProject),
      ...pageOf(page, total),
    };
  }

  public async get({ tenantId }: Identity, id: string): Promise<ProjectDto> {
    return toProject(this.found(await this.projects.find(tenantId, id)));
  }

  public async update(caller: Caller, id: string, request: UpdateProjectDto): Promise<ProjectDto> {
    const { tenantId } = caller;
    if (request.repository_url !== undefined) this.checkUrl(request.repository_url);
    const change: ProjectChange = withoutUndefined({
      name: request.name,
      repositoryUrl: request.repository_url,
      defaultBranch: request.default_branch,
      dockerfilePath: request.dockerfile_path,
      contextPath: request.context_path,
      imageRepository: request.image_repository,
      buildTimeoutSeconds: request.build_timeout_seconds,
      autoStart: request.auto_start,
      buildArgs: request.build_args,
    });
    if (Object.keys(change).length === 0) return toProject(this.found(await this.projects.find(tenantId, id)));
    const fields = Object.keys(withoutUndefined(request)).sort();
    return this.named(async (manager) => {
      const project = this.found(await this.projects.update(manager, tenantId, id, change));
      await this.audit.record(manager, caller, {
        action: 'project.update',
        resource: { type: 'project', id },
        details: { fields },
      });
      return toProject(project);
    });
  }

  private found(project: ProjectEntity | null): ProjectEntity {
    if (project === null) throw new ApiError(404, 'Project not found');
    return project;
  }

  private checkUrl(url: string): void {
    const problem = repositoryUrlProblem(url, {
      allowedProtocols: this.env.GIT_ALLOWED_PROTOCOLS,
      allowedFileRoot: this.env.GIT_ALLOWED_FILE_ROOT,
    });
    if (problem !== null) throw ApiError.badFields({ repository_url: problem });
  }

  private async named<Result>(work: (manager: EntityManager) => Promise<Result>): Promise<Result> {
    try {
      return await transact(this.dataSource, work);
    } catch (error) {
      if (isUniqueViolation(error, 'projects_name_key')) {
        throw new ApiError(409, 'A project of this name exists already', { name: 'is taken' }, { cause: error });
      }
      throw error;
    }
  }
}
