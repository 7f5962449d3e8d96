import { randomUUID } from 'node:crypto';
import type { BuildLogsDto } from '../../src/build-logs/build-logs.dto';
import type { LogEntry } from '../../src/build-logs/log-entry';
import type { BuildStatusDto } from '../../src/build-status/build-status.dto';
import type { BuildDto } from '../../src/builds/build.dto';
import type { CreateProjectDto, ProjectDto } from '../../src/projects/project.dto';
import type { CreatedTenantDto } from '../../src/tenants/tenant.dto';
import { LogClient } from '../e2e/build-logs/log-client';
import { Caller } from './caller';
import type { Service } from './service';
import { waitUntil } from './wait-until';

/** What a test says of a project; the rest is made up. */
export type ProjectWishes = Partial<CreateProjectDto> & Pick<CreateProjectDto, 'repository_url'>;

export interface BuildWishes {
  readonly branch: string;
  readonly commit?: string;
  readonly args?: Readonly<Record<string, string>>;
}

/** How long a build may take on a busy machine. */
const buildMs = 150_000;

/** A tenant's admin, who uses a running service as clients do. */
export class Tenant {
  private constructor(
    public readonly id: string,
    private readonly url: string,
    public readonly caller: Caller,
  ) {}

  /** Makes a tenant and signs its admin in. */
  public static async make(service: Service, registryPrefixes: readonly string[] = []): Promise<Tenant> {
    const name = `tenant ${randomUUID()}`;
    const login = { email: `${randomUUID()}@example.com`, password: randomUUID() };
    const platform = await service.signIn();
    const made = await platform.post<CreatedTenantDto>('/tenants', {
      name,
      admin: { ...login, name: 'Admin' },
      registry_prefixes: registryPrefixes,
    });
    return new Tenant(made.expect(201).id, service.url, await service.signIn(login));
  }

  /** The same person at another process of the service. */
  public at(service: Service): Tenant {
    return new Tenant(this.id, service.url, new Caller(service.url, this.caller.token));
  }

  public async project(wishes: ProjectWishes): Promise<ProjectDto> {
    return (await this.caller.post<ProjectDto>('/projects', { name: `project ${randomUUID()}`, ...wishes })).expect(
      201,
    );
  }

  public async create({ id }: Pick<ProjectDto, 'id'>, { branch, commit, args }: BuildWishes): Promise<BuildDto> {
    const request = { project_id: id, git_branch: branch, git_commit: commit, build_args: args };
    return (await this.caller.post<BuildDto>('/builds', request)).expect(201);
  }

  public async start(buildId: string): Promise<BuildDto> {
    return (await this.caller.post<BuildDto>(`/builds/${buildId}/start`)).expect(200);
  }

  /** Creates and starts a build. */
  public async begin(project: Pick<ProjectDto, 'id'>, wishes: BuildWishes): Promise<BuildDto> {
    return this.start((await this.create(project, wishes)).id);
  }

  /** Runs a build to its end. */
  public async run(project: Pick<ProjectDto, 'id'>, wishes: BuildWishes): Promise<BuildDto> {
    return this.end((await this.begin(project, wishes)).id);
  }

  public async build(buildId: string): Promise<BuildDto> {
    return (await this.caller.get<BuildDto>(`/builds/${buildId}`)).expect(200);
  }

  public async status(buildId: string): Promise<BuildStatusDto> {
    return (await this.caller.get<BuildStatusDto>(`/builds/${buildId}/status`)).expect(200);
  }

  /** The build, once it has ended. */
  public async end(buildId: string): Promise<BuildDto> {
    let build = await this.build(buildId);
    await waitUntil(async () => {
      build = await this.build(buildId);
      return build.status !== 'queued' && build.status !== 'in_progress';
    }, buildMs);
    return build;
  }

  public async cancel(buildId: string, reason?: string): Promise<BuildDto> {
    return (await this.caller.post<BuildDto>(`/builds/${buildId}/cancel`, { reason })).expect(200);
  }

  /** The whole log so far, page by page. */
  public async log(buildId: string, pageLines = 1_000): Promise<LogEntry[]> {
    const entries: LogEntry[] = [];
    for (;;) {
      const path = `/builds/${buildId}/logs?offset=${entries.length}&limit=${pageLines}`;
      const { logs, total_lines } = (await this.caller.get<BuildLogsDto>(path)).expect(200);
      entries.push(...logs);
      if (entries.length >= total_lines) return entries;
    }
  }

  /** The texts of the whole log so far. */
  public async lines(buildId: string): Promise<string[]> {
    return (await this.log(buildId)).map(({ message }) => message);
  }

  /** Waits until a line contains the text. */
  public async line(buildId: string, text: string): Promise<void> {
    await waitUntil(async () => (await this.lines(buildId)).some((line) => line.includes(text)), buildMs);
  }

  public follow(buildId: string, offset = 0): Promise<LogClient> {
    const address = `${this.url.replace('http', 'ws')}/api/v1/builds/${buildId}/logs/stream?offset=${offset}`;
    return LogClient.open(address, this.caller.token ?? '');
  }
}
