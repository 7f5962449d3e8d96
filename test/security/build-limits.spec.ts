import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BuildRepository } from '../support/build-repository';
import { Service } from '../support/service';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const isRoot = process.geteuid?.() === 0;
const repository = new BuildRepository();
const settings = { ...repository.settings, BUILD_MEMORY_MB: '192', BUILD_PIDS: '96', WORKER_SLOTS: '3' };
let service: Service;
let next: Service | undefined;
let tenant: Tenant;

beforeAll(async () => {
  // Half a file system in memory, which the step may swallow the end of.
  const swallow = 'dd if=/dev/zero of=/dev/shm/big bs=1M count=400; echo swallowed; sleep 3600';
  repository.script('memory', `RUN tail /dev/zero | cat; ${swallow}`);
  repository.script('bomb', 'RUN bomb() { bomb | bomb & }; bomb; sleep 3; echo swallowed; sleep 3600');
  repository.script('endless', 'RUN echo up; sleep 3600');
  repository.script('modest', 'RUN for i in $(seq 1 30); do echo line $i; sleep 0.2; done');
  service = await Service.startOnServer({ settings });
  tenant = await Tenant.make(service);
}, 120_000);

afterAll(async () => {
  await next?.stop();
  await service.stop();
  repository.remove();
}, 60_000);

/** Control groups of the builds of a worker. */
const groups = (pid: number): string[] =>
  execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `image-factory-${pid}-*`], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((each) => each !== '');

(isRoot ? describe : describe.skip)('a build that takes more than it may', () => {
  it('fails at once with the limit named, though its step goes on without what was killed, while others succeed', async () => {
    const project = await tenant.project({ repository_url: repository.git.url });
    const modest = await tenant.begin(project, { branch: 'modest' });
    const [memory, bomb] = await Promise.all(
      ['memory', 'bomb'].map(async (branch) => tenant.end((await tenant.begin(project, { branch })).id)),
    );
    expect(memory).toMatchObject({
      status: 'failed',
      error_message: 'The build used more than its limit of 192 MB of memory (BUILD_MEMORY_MB)',
    });
    expect(bomb).toMatchObject({
      status: 'failed',
      error_message: 'The build started more than its limit of 96 processes (BUILD_PIDS)',
    });
    expect(await tenant.end(modest.id)).toMatchObject({ status: 'success' });
  }, 120_000);

  it('gives way to the worker when the processors are scarce', async () => {
    const project = await tenant.project({ repository_url: repository.git.url });
    const { id } = await tenant.begin(project, { branch: 'endless' });
    await tenant.line(id, 'up');
    const shares = groups(service.pid).flatMap((group) =>
      ['cpu.shares', 'cpu.weight'].map((name) => path.join(group, name)).filter((file) => existsSync(file)),
    );
    expect(shares.map((file) => [path.basename(file), Number(readFileSync(file, 'utf8'))])).toEqual(
      shares.map((file) => [path.basename(file), file.endsWith('weight') ? 25 : 256]),
    );
    const members = shares.map((file) => readFileSync(path.join(path.dirname(file), 'cgroup.procs'), 'utf8').trim());
    expect(members.some((pids) => pids !== '')).toBe(true);
    await tenant.cancel(id);
    await tenant.end(id);
  }, 60_000);

  it('leaves no control group', async () => {
    await waitUntil(() => groups(service.pid).length === 0);
  });

  it('leaves none for long when its worker is killed', async () => {
    const project = await tenant.project({ repository_url: repository.git.url });
    const { id } = await tenant.begin(project, { branch: 'endless' });
    await tenant.line(id, 'up');
    expect(groups(service.pid)).not.toEqual([]);
    const killed = service;
    await killed.end('SIGKILL');
    const { databaseUrl, dataDir } = killed;
    const same = { ...settings, ARTIFACT_DIR: '' };
    next = await Service.start({ databaseUrl: databaseUrl ?? '', dataDir, settings: same });
    await waitUntil(() => groups(killed.pid).length === 0, 60_000);
  }, 120_000);
});

(isRoot ? it.skip : it)('says at the start of an ordinary user that nothing limits memory and processes', () => {
  expect(service.output.join('\n')).toContain('Builds have no limit of memory and processes');
});
