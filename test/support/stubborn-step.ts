import { randomInt } from 'node:crypto';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { BuildRepository } from './build-repository';
import { processesWith } from './engine/processes';
import type { Tenant } from './tenant';
import { waitUntil } from './wait-until';

/** A RUN step that goes on for ever, ignores TERM, and can be found among the processes of this machine. */
export class StubbornStep {
  /** So many seconds no other process sleeps. */
  private readonly seconds = randomInt(1_000_000, 2_000_000);

  /** Makes the branch `stubborn`. */
  public constructor(repository: BuildRepository) {
    repository.script('stubborn', `RUN trap '' TERM; echo armed; while :; do sleep ${this.seconds}; done`);
  }

  /** Starts a build of the branch and waits until the step runs. */
  public async begin(tenant: Tenant, project: Pick<ProjectDto, 'id'>): Promise<BuildDto> {
    const build = await tenant.begin(project, { branch: 'stubborn' });
    await tenant.line(build.id, 'armed');
    await waitUntil(() => processesWith(`sleep\0${this.seconds}`).length > 0 && processesWith(build.id).length > 0);
    return build;
  }

  /** All that runs of a build: the engine's processes name it, those of the step their sleep. */
  public processesOf({ id }: Pick<BuildDto, 'id'>): number[] {
    return [...processesWith(id), ...processesWith(String(this.seconds))];
  }
}
