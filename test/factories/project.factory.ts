import { randomUUID } from 'node:crypto';
import type { Api } from '../support/api';
import { insert } from './insert';

export interface ProjectRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly name: string;
}

/** Makes a project by SQL; a tenant that is not named is made as well. */
export class ProjectFactory {
  private constructor(
    private readonly api: Api,
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  public static from(api: Api, values: Readonly<Record<string, unknown>> = {}): ProjectFactory {
    return new ProjectFactory(api, {
      name: `project ${randomUUID()}`,
      repository_url: 'https://git.example.com/team/app.git',
      default_branch: 'main',
      ...values,
    });
  }

  public build(): Promise<ProjectRow> {
    return insert<ProjectRow>(this.api, 'projects', this.values);
  }
}
