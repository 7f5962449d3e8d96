import { type LogEntry, logEntry } from '../../src/build-logs/log-entry';
import { BuildLogsRepository } from '../../src/build-logs/build-logs.repository';
import type { BuildStatus } from '../../src/builds/build-state';
import { DataSource } from 'typeorm';
import type { Api } from '../support/api';
import { insert } from './insert';
import type { ProjectRow } from './project.factory';

export interface BuildRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly project_id: string;
  readonly build_number: number;
  readonly status: BuildStatus;
}

/** Columns of the row; times and the error follow from the status. */
export type BuildWishes = Readonly<Record<string, unknown>> & { readonly status?: BuildStatus };

const ended: readonly BuildStatus[] = ['success', 'failed', 'cancelled'];

/** Makes a build by SQL in any status, with its log, as if a worker had brought it there. */
export class BuildFactory {
  private entries: readonly LogEntry[] = [];

  private constructor(
    private readonly api: Api,
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  public static from(api: Api, project: Pick<ProjectRow, 'id' | 'tenant_id'>, values: BuildWishes = {}): BuildFactory {
    const { status = 'queued' } = values;
    const now = new Date();
    return new BuildFactory(api, {
      tenant_id: project.tenant_id,
      project_id: project.id,
      git_branch: 'main',
      started_at: status === 'queued' ? null : now,
      completed_at: ended.includes(status) ? now : null,
      error_message: status === 'failed' ? 'Step 2/3 failed with exit code 1' : null,
      ...values,
    });
  }

  public withLog(...messages: string[]): this {
    this.entries = messages.map((message) => logEntry('INFO', message));
    return this;
  }

  public async build(): Promise<BuildRow> {
    const row = await insert<BuildRow>(this.api, 'builds', this.values);
    const logs = this.api.app.get(BuildLogsRepository);
    const { manager } = this.api.app.get(DataSource);
    await logs.create(manager, row.id, row.tenant_id);
    if (ended.includes(row.status)) await logs.close(manager, row.id, row.status, this.entries);
    else if (this.entries.length > 0) await logs.append(manager, row.id, this.entries);
    return row;
  }
}
