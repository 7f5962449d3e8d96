import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { BuildDto, BuildListDto } from '../../../src/builds/build.dto';
import type { ProjectDto } from '../../../src/projects/project.dto';
import { BuildRepository } from '../../support/build-repository';
import { Service } from '../../support/service';
import { StubbornStep } from '../../support/stubborn-step';
import { Tenant } from '../../support/tenant';
import { waitUntil } from '../../support/wait-until';

/** How long the processes of a stopped build may live: 10 s to TERM, and what KILL and a busy machine take. */
const deadWithinMs = 12_000;

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
let service: Service;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  repository.script('main', 'RUN echo fine');
  service = await Service.startOnServer({ settings: { ...repository.settings, WORKER_SLOTS: '2' } });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: repository.git.url });
});

afterAll(async () => {
  await service.stop();
  repository.remove();
});

function leftOf({ id }: BuildDto): string[] {
  const found = readdirSync(service.dataDir, { recursive: true, encoding: 'utf8' });
  return found.filter((name) => path.basename(name).startsWith(id));
}

describe('cancelling a build in a RUN step that ignores TERM', () => {
  let build: BuildDto;
  let answer: BuildDto;
  let answeredAfterMs: number;
  let closed: { code: number; reason: string };

  beforeAll(async () => {
    build = await stubborn.begin(tenant, project);
    const client = await tenant.follow(build.id);
    const askedAt = performance.now();
    answer = await tenant.cancel(build.id, 'wrong branch');
    answeredAfterMs = performance.now() - askedAt;
    await waitUntil(() => stubborn.processesOf(build).length === 0, deadWithinMs - (performance.now() - askedAt));
    closed = await client.closed;
  });

  it('is answered at once with the final status', () => {
    expect(answer).toMatchObject({ id: build.id, status: 'cancelled', error_message: 'wrong branch' });
    expect(answer.completed_at).not.toBeNull();
    expect(answeredAfterMs).toBeLessThan(2_000);
  });

  it('ends the log with the line that says that it stopped, and then the stream', async () => {
    const lines = await tenant.lines(build.id);
    expect(lines).toContain('Cancelled by request: wrong branch');
    expect(lines.at(-1)).toBe('Build stopped');
    expect(closed).toEqual({ code: 1000, reason: 'cancelled' });
  });

  it('is not overwritten by a later outcome', async () => {
    expect(await tenant.build(build.id)).toMatchObject({ status: 'cancelled', completed_at: answer.completed_at });
    expect(await tenant.status(build.id)).toMatchObject({ status: 'cancelled', error: 'wrong branch' });
    for (const action of ['cancel', 'start', 'retry']) {
      expect((await tenant.caller.post(`/builds/${build.id}/${action}`)).status).toBe(409);
    }
  });

  it('leaves nothing in the data directory', () => {
    expect(leftOf(build)).toEqual([]);
  });
});

describe('deleting a build', () => {
  it('hides it at once, stops it, and purges all of it', async () => {
    const build = await stubborn.begin(tenant, project);
    const client = await tenant.follow(build.id);
    const askedAt = performance.now();
    expect((await tenant.caller.delete(`/builds/${build.id}`)).status).toBe(204);
    for (const read of ['', '/status', '/logs', '/logs/stream', '/image']) {
      const { status } = await tenant.caller.get(`/builds/${build.id}${read}`);
      expect([read, status]).toEqual([read, read === '/logs/stream' ? 400 : 404]);
    }
    for (const action of ['start', 'cancel', 'retry']) {
      expect((await tenant.caller.post(`/builds/${build.id}/${action}`)).status).toBe(404);
    }
    expect((await tenant.caller.delete(`/builds/${build.id}`)).status).toBe(404);
    const { builds } = (await tenant.caller.get<BuildListDto>('/builds')).body;
    expect(builds.map(({ id }) => id)).not.toContain(build.id);
    await expect(tenant.follow(build.id)).rejects.toThrow('404');
    expect(await client.closed).toMatchObject({ code: 4404 });

    await waitUntil(() => stubborn.processesOf(build).length === 0, deadWithinMs - (performance.now() - askedAt));
    await expectPurged(build);
  });

  it('purges the archive of one that succeeded', async () => {
    const build = await tenant.run(project, { branch: 'main' });
    expect(build.status).toBe('success');
    expect(leftOf(build)).toEqual([`artifacts/${build.id}.tar`]);
    expect((await tenant.caller.delete(`/builds/${build.id}`)).status).toBe(204);
    expect((await tenant.caller.get(`/builds/${build.id}/image`)).status).toBe(404);
    await expectPurged(build);
  });

  async function expectPurged(build: BuildDto): Promise<void> {
    const rows = (): Promise<object[]> =>
      service.sql(
        `SELECT id FROM builds WHERE id = $1 UNION ALL SELECT build_id FROM build_logs WHERE build_id = $1
         UNION ALL SELECT build_id FROM build_log_chunks WHERE build_id = $1`,
        [build.id],
      );
    await waitUntil(async () => (await rows()).length === 0);
    // The archive goes after the record.
    await waitUntil(() => leftOf(build).length === 0);
  }
});

describe('deleting a project', () => {
  it('stops its builds and removes all that is kept of it, also what the engine keeps', async () => {
    const doomed = await tenant.project({ repository_url: repository.git.url });
    const other = await tenant.run(project, { branch: 'main' });
    const { id } = await tenant.run(doomed, { branch: 'main' });
    expect(readdirSync(path.join(service.dataDir, 'engine'))).toEqual(expect.arrayContaining([doomed.id, project.id]));
    expect((await tenant.caller.delete(`/projects/${doomed.id}`)).status).toBe(204);
    expect((await tenant.caller.get(`/builds/${id}`)).status).toBe(404);
    await waitUntil(() => !readdirSync(path.join(service.dataDir, 'engine')).some((name) => name === doomed.id));
    expect(readdirSync(path.join(service.dataDir, 'engine'))).toContain(project.id);
    expect((await tenant.build(other.id)).status).toBe('success');
  });
});
