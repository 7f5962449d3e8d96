import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { processesWith } from '../support/engine/processes';
import { GitHttpServer } from '../support/git-http-server';
import { Tenant } from '../support/tenant';

const starts = 50;
const rounds = 2;
/** So many seconds no other process sleeps. */
const seconds = `2.${randomInt(1_000_000, 2_000_000)}`;

const repository = new BuildRepository();
let git: GitHttpServer;
let cluster: Cluster;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  git = await GitHttpServer.start(repository.git);
  const settings = { GIT_ALLOWED_PROTOCOLS: 'http', BUILD_EGRESS_ALLOW: new URL(git.url).host };
  cluster = await Cluster.start({ apis: 2, workers: 2, settings });
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: git.url });
});

afterAll(async () => {
  await cluster.stop();
  await git.stop();
  repository.remove();
});

/** The statuses of so many starts that are sent at once, to both replicas in turn. */
function startAtOnce({ id }: BuildDto): Promise<number[]> {
  const callers = cluster.apis.map(({ service }) => tenant.at(service).caller);
  return Promise.all(
    Array.from({ length: starts }, async (_, index) => {
      const answer = await callers[index % callers.length]?.post(`/builds/${id}/start`);
      return answer?.status ?? 0;
    }),
  );
}

/** The most processes of the step that were seen at once until the build ended, and the build. */
async function watch({ id }: BuildDto): Promise<{ readonly most: number; readonly build: BuildDto }> {
  const ended = tenant.end(id);
  let most = 0;
  do most = Math.max(most, processesWith(`sleep\0${seconds}`).length);
  while (!(await Promise.race([ended.then(() => true), sleep(50, false)])));
  return { most, build: await ended };
}

it.each(Array.from({ length: rounds }, (_, round) => round + 1))(
  `starts a build once that ${starts} requests start at once, by two replicas, and runs it once (round %i)`,
  async (round) => {
    const branch = `round-${round}`;
    repository.script(branch, `RUN echo step of ${branch}; sleep ${seconds}`);
    const created = await tenant.create(project, { branch });
    const client = await tenant.follow(created.id);
    git.requests.length = 0;

    const statuses = await startAtOnce(created);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(starts - 1);

    const { most, build } = await watch(created);
    expect(build).toMatchObject({ status: 'success', error_message: null });
    expect(most).toBe(1);
    expect(git.requests.filter((request) => request.includes('info/refs'))).toHaveLength(1);
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    expect(client.lines.filter((line) => line === `Checking out ${branch}`)).toHaveLength(1);
    expect(client.lines.filter((line) => line === `step of ${branch}`)).toHaveLength(1);
  },
);
