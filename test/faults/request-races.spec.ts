import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto, BuildListDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { Answer } from '../support/caller';
import type { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';
import { Arena } from './driven/arena';
import { expectSound, faultsOfWays, installAudit } from './state-machine/audit';

/** So many races at once: they also meet at the row of their project. */
const atOnce = 10;

let arena: Arena;

beforeAll(async () => {
  arena = await Arena.start();
  await installAudit(arena);
}, 60_000);

afterAll(() => arena.stop());

/** Runs rounds, some at once. */
async function rounds(count: number, round: (index: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < count; first += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, (_, index) => round(first + index)));
  }
}

function codes(answers: readonly Answer[]): number[] {
  return answers.map(({ status }) => status).sort((a, b) => a - b);
}

describe('requests at the same moment', () => {
  it('a delete and the end of the build: it is gone, and stays so, 100 times', async () => {
    const project = await arena.project();
    for (let round = 0; round < 100; round += atOnce) {
      const runs = await arena.runs(project, atOnce);
      await Promise.all(
        runs.map(async (run, index) => {
          const [answer] = await Promise.all([
            arena.tenant(index).caller.delete(`/builds/${run.id}`),
            sleep(Math.random() * 10).then(() => run.finish('success')),
          ]);
          expect(answer.status).toBe(204);
          for (const read of ['', '/status', '/logs', '/image']) {
            expect((await arena.tenant(index + 1).caller.get(`/builds/${run.id}${read}`)).status).toBe(404);
          }
        }),
      );
    }
    expect(await faultsOfWays(arena, project.id)).toEqual([]);
    await waitUntil(
      async () => (await arena.sql('SELECT FROM builds WHERE project_id = $1', [project.id])).length === 0,
    );
  }, 240_000);

  it('retries of one failed build: one is made, 100 times', async () => {
    const project = await arena.project();
    const [run] = await arena.runs(project, 1);
    await run?.finish('failed');
    for (let round = 0; round < 100; round += 1) {
      const answers = await Promise.all(
        [0, 1, 2, 3].map((index) => arena.tenant(index).caller.post<BuildDto>(`/builds/${run?.id ?? ''}/retry`)),
      );
      expect(codes(answers)).toEqual([200, 409, 409, 409]);
      const made = answers.find(({ status }) => status === 200)?.body;
      expect(made?.build_number).toBe(round + 2);
      // An active one would be in the way of the next.
      await arena.tenant(round).start(made?.id ?? '');
      await arena.tenant(round + 1).cancel(made?.id ?? '');
    }
    await expectSound(arena, project);
  }, 240_000);

  it('starts of one build and a delete: at most one start is taken, nothing is left to claim, 100 times', async () => {
    const project = await arena.project();
    await rounds(100, async (round) => {
      const { id } = await arena.tenant(round).create(project, { branch: 'main' });
      const [deleted, ...starts] = await Promise.all([
        arena.tenant(round).caller.delete(`/builds/${id}`),
        ...[0, 1, 2].map((index) => arena.tenant(index).caller.post(`/builds/${id}/start`)),
      ]);
      expect(deleted.status).toBe(204);
      const taken = codes(starts).filter((status) => status === 200);
      expect(taken.length).toBeLessThanOrEqual(1);
      expect(codes(starts).filter((status) => ![200, 404, 409].includes(status))).toEqual([]);
      expect((await arena.tenant(round + 1).caller.post(`/builds/${id}/start`)).status).toBe(404);
    });
    expect(await arena.worker.take()).toBeNull();
    await expectSound(arena, project);
  }, 240_000);

  it('the deletion of a project and new builds that are started at once: all gone, no error of ours, 100 times', async () => {
    await rounds(100, async (round) => {
      const project = await arena.project();
      const first = [0, 1, 2, 3].map((index) => arena.tenant(index).create(project, { branch: 'main' }));
      const builds = (await Promise.all(first)).map(({ id }) => id);
      const deletion = sleep(Math.random() * 20).then(() =>
        arena.tenant(round).caller.delete(`/projects/${project.id}`),
      );
      const made = await Promise.all([0, 1, 2].map((index) => makeWhilePossible(arena.tenant(index), project)));
      expect((await deletion).status).toBe(204);
      for (const id of [...builds, ...made.flat()]) {
        expect((await arena.tenant(round + 1).caller.get(`/builds/${id}`)).status).toBe(404);
      }
      const list = await arena.tenant(round).caller.get<BuildListDto>(`/builds?project_id=${project.id}`);
      expect(list.body).toMatchObject({ builds: [], total_count: 0 });
      await expectSound(arena, project);
    });
    expect(await arena.worker.take()).toBeNull();
  }, 240_000);

  /** Makes builds and starts them until their project is gone; returns their ids. */
  async function makeWhilePossible({ caller }: Tenant, { id }: ProjectDto): Promise<string[]> {
    const ids: string[] = [];
    for (;;) {
      const made = await caller.post<BuildDto>('/builds', { project_id: id, git_branch: 'main' });
      if (made.status === 403) return ids;
      ids.push(made.expect(201).id);
      const started = await caller.post(`/builds/${made.body.id}/start`);
      expect([200, 404]).toContain(started.status);
    }
  }
});
