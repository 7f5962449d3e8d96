import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { BuildDto } from '../../src/builds/build.dto';
import { BuildRepository } from '../support/build-repository';
import { Service } from '../support/service';
import { SmallDisk } from '../support/small-disk';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const isRoot = process.geteuid?.() === 0;
const most = 64;
const tooMuch = `The build used more than its limit of ${most} MB of disk (BUILD_DISK_MB)`;
const write =
  'i=0; while [ $i -lt 3000 ]; do dd if=/dev/zero bs=1M count=1; i=$((i+1)); usleep 20000; done 2> /dev/null';
const modest = 'RUN for i in $(seq 1 40); do echo line $i; sleep 0.2; done';
const steady = 'RUN for i in $(seq 1 100); do echo line $i; sleep 0.2; done';

/** What a directory takes, in MB; du(1) minds what goes away meanwhile. */
const megabytes = (directory: string): number =>
  Number.parseInt(spawnSync('du', ['-smx', directory], { encoding: 'utf8' }).stdout, 10);

describe('a build that takes more of the disk than it may', () => {
  const repository = new BuildRepository();
  let service: Service;
  let tenant: Tenant;

  const greedy: Readonly<Record<string, string>> = {
    file: `RUN (${write}) > /big; sleep 60`,
    // No name leads to it: only the processes that have it open do.
    unlinked: `RUN exec 3> /big; rm /big; (${write}) >&3; sleep 60`,
    steps: `RUN dd if=/dev/zero of=/first bs=1M count=40\nRUN dd if=/dev/zero of=/second bs=1M count=40\nRUN sleep 60`,
    cache: `RUN --mount=type=cache,target=/cache (${write}) > /cache/big; sleep 60`,
    files: 'RUN mkdir /many && cd /many && seq 1 5000 | xargs touch; sleep 60',
  };

  beforeAll(async () => {
    for (const [name, script] of Object.entries(greedy)) repository.script(name, script);
    repository.script('modest', modest);
    // Only what is written counts, and not where the file says that it ends.
    repository.script('sparse', 'RUN truncate -s 1G /hole && sleep 6 && rm /hole');
    repository.branch('repository', {
      big: randomBytes(60 * 1_024 * 1_024).toString('base64'),
      Dockerfile: 'FROM scratch\nCOPY big /\n',
    });
    const settings = { ...repository.settings, BUILD_DISK_MB: String(most), WORKER_SLOTS: '3' };
    service = await Service.startOnServer({ settings });
    tenant = await Tenant.make(service);
  }, 120_000);

  afterAll(async () => {
    await service.stop();
    repository.remove();
  }, 60_000);

  const begin = async (branch: string): Promise<BuildDto> =>
    tenant.begin(await tenant.project({ repository_url: repository.git.url }), { branch });

  it('fails with the limit named, while others succeed', async () => {
    const good = await Promise.all(['modest', 'sparse'].map(begin));
    // Where builds are in no control groups, nobody knows whose the deleted file is.
    const branches = ['file', 'steps', 'cache', 'repository', ...(isRoot ? ['unlinked'] : []), 'files'];
    const bad = await Promise.all(branches.map(begin));
    const ended = await Promise.all(bad.map(({ id }) => tenant.end(id)));
    expect(ended.map(({ status }) => status)).toEqual(branches.map(() => 'failed'));
    const messages = ended.map(({ error_message }) => error_message);
    expect(messages.slice(0, -1)).toEqual(branches.slice(1).map(() => tooMuch));
    expect(messages.at(-1)).toBe(
      `The build made more than its limit of ${most * 64} files (64 for each MB of BUILD_DISK_MB)`,
    );
    for (const { id } of good) expect(await tenant.end(id)).toMatchObject({ status: 'success', error_message: null });
  }, 180_000);

  it('gives back what it wrote, its finished steps and caches included', async () => {
    await waitUntil(() => megabytes(service.dataDir) < 20, 60_000);
  }, 90_000);
});

// An ordinary user sees a disk of his own only through /proc, where the engine cannot keep its storage.
(isRoot ? describe : describe.skip)('a disk of the worker that gets full', () => {
  const repository = new BuildRepository();
  let disk: SmallDisk;
  let service: Service;
  let tenant: Tenant;

  beforeAll(async () => {
    repository.script('greedy', `RUN (${write}) > /big; sleep 60`);
    repository.script('modest', modest);
    // It still runs when the other one has filled the disk.
    repository.script('steady', steady);
    disk = await SmallDisk.make(384);
    const directories = { ARTIFACT_DIR: path.join(disk.directory, 'artifacts') };
    const settings = { ...repository.settings, ...directories, MIN_FREE_DISK_MB: '100', WORKER_SLOTS: '2' };
    service = await Service.startOnServer({ dataDir: path.join(disk.directory, 'data'), settings });
    tenant = await Tenant.make(service);
  }, 120_000);

  afterAll(async () => {
    await service.stop();
    disk.remove();
    repository.remove();
  }, 120_000);

  it('costs the build that took the most, and no other', async () => {
    const [first, second] = await Promise.all(
      ['steady', 'greedy'].map(async (branch) =>
        tenant.begin(await tenant.project({ repository_url: repository.git.url }), { branch }),
      ),
    );
    expect(await tenant.end(second?.id ?? '')).toMatchObject({
      status: 'failed',
      error_message:
        "The worker's disk has less than 100 MB left (MIN_FREE_DISK_MB), and of its builds this one took the most",
    });
    expect(await tenant.end(first?.id ?? '')).toMatchObject({ status: 'success' });
  }, 120_000);

  it('lets builds wait until there is room', async () => {
    disk.fill();
    const project = await tenant.project({ repository_url: repository.git.url });
    const build = await tenant.begin(project, { branch: 'modest' });
    await waitUntil(() => service.output.some((line) => line.includes('its disk has less than 200 MB left')));
    expect((await tenant.lines(build.id)).join('\n')).not.toContain('Checking out');
    disk.free();
    expect(await tenant.end(build.id)).toMatchObject({ status: 'success' });
  }, 120_000);
});
