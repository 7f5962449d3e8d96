import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Service } from '../support/service';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const asRoot = process.geteuid?.() === 0 ? it : it.skip;
const dayMs = 24 * 3_600_000;
const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
let service: Service;
let tenant: Tenant;

beforeAll(async () => {
  repository.script('main', 'RUN echo built');
  service = await Service.startOnServer({ settings: { ...repository.settings, WORKER_SLOTS: '2' } });
  tenant = await Tenant.make(service);
});

afterAll(async () => {
  await service.stop();
  repository.remove();
});

const makeProject = (): Promise<ProjectDto> => tenant.project({ repository_url: repository.git.url });
const goneIn = (dataDir: string): string[] => {
  const gone = path.join(dataDir, 'engine', '.gone');
  return existsSync(gone) ? readdirSync(gone) : [];
};

function age(directory: string, days: number): void {
  const time = new Date(Date.now() - days * dayMs);
  utimesSync(directory, time, time);
}

describe('layers', () => {
  it('of a project are dropped when it was not built here for CACHE_RETENTION_DAYS, but never while it is', async () => {
    const [unused, used, busy] = [await makeProject(), await makeProject(), await makeProject()];
    for (const project of [unused, used]) await tenant.run(project, { branch: 'main' });
    const build = await stubborn.begin(tenant, busy);
    const at = (id: string): string => path.join(service.dataDir, 'engine', id);
    const stranger = randomUUID();
    mkdirSync(at(stranger));
    for (const id of [stranger, busy.id, unused.id]) age(at(id), 31);
    age(at(used.id), 29);

    await waitUntil(() => !existsSync(at(unused.id)) && goneIn(service.dataDir).length === 0);
    for (const id of [stranger, busy.id, used.id]) expect(existsSync(at(id))).toBe(true);
    expect((await tenant.status(build.id)).status).toBe('in_progress');

    await tenant.cancel(build.id);
    await waitUntil(() => Date.now() - statSync(at(busy.id)).mtimeMs < dayMs);
    const again = await tenant.run(unused, { branch: 'main' });
    expect(again).toMatchObject({ status: 'success' });
    expect(Date.now() - statSync(at(unused.id)).mtimeMs).toBeLessThan(dayMs);
  });

  asRoot(
    'of the longest unused projects are dropped while the disk is fuller than CACHE_MAX_DISK_PERCENT',
    async () => {
      const disk = mkdtempSync(path.join(tmpdir(), 'image-factory-disk-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'tmpfs', disk]);
      const workers: Service[] = [];
      try {
        const dataDir = path.join(disk, 'data');
        const [running, oldest, newer] = [await makeProject(), await makeProject(), await makeProject()];
        const stranger = randomUUID();
        const at = (id: string): string => path.join(dataDir, 'engine', id);
        for (const [index, id] of [stranger, running.id, oldest.id, newer.id].entries()) {
          mkdirSync(at(id), { recursive: true });
          writeFileSync(path.join(at(id), 'layer'), Buffer.alloc(15 * 1_024 * 1_024));
          age(at(id), 20 - index);
        }
        const { id } = await tenant.create(running, { branch: 'main' });
        await service.sql(
          `UPDATE builds SET status = 'in_progress', started_at = now(), claimed_at = now(), lease_token = gen_random_uuid(),
           lease_expires_at = now() + interval '1 hour' WHERE id = $1`,
          [id],
        );
        const settings = {
          ROLES: 'worker',
          CACHE_MAX_DISK_PERCENT: '50',
          ARTIFACT_DIR: path.join(service.dataDir, 'artifacts'),
        };
        const options = { databaseUrl: service.databaseUrl ?? '', dataDir, settings };
        workers.push(await Service.start(options));
        await waitUntil(() => !existsSync(at(oldest.id)) && goneIn(dataDir).length === 0);
        for (const kept of [stranger, running.id, newer.id])
          expect(existsSync(path.join(at(kept), 'layer'))).toBe(true);
        expect(workers.flatMap(({ output }) => output).filter((line) => /could not|gets full/.test(line))).toEqual([]);
      } finally {
        await Promise.all(workers.map((worker) => worker.stop()));
        execFileSync('umount', [disk]);
        rmSync(disk, { recursive: true });
      }
    },
  );
});
