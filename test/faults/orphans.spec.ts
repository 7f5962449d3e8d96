import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { processesWith } from '../support/engine/processes';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { removeDataDir } from '../support/remove-data-dir';
import { Service } from '../support/service';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const isRoot = process.geteuid?.() === 0;
const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
/** Two workers share a host, and so its directory. */
const dataDir = mkdtempSync(path.join(tmpdir(), 'image-factory-orphans-'));
/** On another file system, so that archives are copied to it, which takes its time. */
const store = mkdtempSync('/dev/shm/image-factory-orphans-');
const settings = { ...repository.settings, WORKER_SLOTS: '1', LEASE_SECONDS: '8', ARTIFACT_DIR: store };
const workers: Service[] = [];
let database: TestPostgres;
let api: Service;
let doomed: Service;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  repository.script('small', 'RUN echo small');
  repository.script('large', 'RUN dd if=/dev/urandom of=/large bs=1M count=48');
  database = await startTestPostgres();
  api = await Service.start({ databaseUrl: database.url, settings: { ...settings, ROLES: 'api' } });
  tenant = await Tenant.make(api);
  project = await tenant.project({ repository_url: repository.git.url });
}, 120_000);

/** The second worker comes when the first one has the build. */
async function startWorker(): Promise<Service> {
  const worker = await Service.start({
    databaseUrl: database.url,
    dataDir,
    settings: { ...settings, ROLES: 'worker' },
  });
  workers.push(worker);
  return worker;
}

beforeEach(async () => {
  doomed = await startWorker();
});

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

afterAll(async () => {
  await api.stop();
  await database.stop();
  await removeDataDir(dataDir);
  rmSync(store, { recursive: true });
  repository.remove();
});

/** Directories that builds work in. */
const workedIn = (): string[] => ['workspaces', 'scratch'].flatMap((name) => readdirSync(path.join(dataDir, name)));

/** Archives, whole or in parts, that are no build's. */
async function archivesWithoutBuild(): Promise<string[]> {
  const owned = await api.sql<{ archive: string }>('SELECT image_archive AS archive FROM builds');
  const known = new Set(['.image-factory-store', ...owned.map(({ archive }) => archive)]);
  return readdirSync(store).filter((name) => !known.has(name));
}

async function expectLost({ id }: BuildDto): Promise<void> {
  expect(await tenant.end(id)).toMatchObject({ status: 'failed', error_message: 'worker lost' });
}

/** Kills a process in the moment in which the store gets a part of an archive. */
function killAtPart({ pid }: Service): void {
  const watcher = watch(store, (_, name) => {
    if (name?.endsWith('.part') !== true) return;
    process.kill(pid, 'SIGKILL');
    watcher.close();
  });
}

describe('a worker that runs on, beside one that was killed', () => {
  it('clears away all that the build in the midst of a step left on the host', async () => {
    const build = await stubborn.begin(tenant, project);
    await startWorker();
    const before = isRoot ? hostThings(build) : undefined;
    expect(workedIn()).not.toEqual([]);
    expect(await doomed.end('SIGKILL')).toBe('SIGKILL');
    await waitUntil(() => stubborn.processesOf(build).length === 0, 2_000);
    await expectLost(build);
    await waitUntil(() => workedIn().length === 0);
    if (before !== undefined) await waitUntil(() => before.left().length === 0);
    expect(before?.left() ?? []).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dataDir);
    expect(processesWith(build.id)).toEqual([]);
  });

  it('removes an archive that was half written', async () => {
    killAtPart(doomed);
    const build = await tenant.begin(project, { branch: 'large' });
    await tenant.line(build.id, 'At commit');
    await startWorker();
    expect(await doomed.ended).toBe('SIGKILL');
    const [part, ...more] = await archivesWithoutBuild();
    expect([part?.startsWith(`.${build.id}.tar.`), more]).toEqual([true, []]);
    await expectLost(build);
    await waitUntil(async () => (await archivesWithoutBuild()).length === 0 && workedIn().length === 0);
  });

  it('removes an archive that was whole when its worker died before the record of it', async () => {
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    const build = await tenant.begin(project, { branch: 'small' });
    await tenant.line(build.id, 'At commit');
    // As long as this lasts no line is stored, and the end of the build is not recorded without its last lines.
    await holder.query('BEGIN');
    await holder.query('SELECT FROM build_logs WHERE build_id = $1 FOR UPDATE', [build.id]);
    await startWorker();
    await waitUntil(() => existsSync(path.join(store, `${build.id}.tar`)));
    await doomed.end('SIGKILL');
    await holder.end();
    expect(await archivesWithoutBuild()).toEqual([`${build.id}.tar`]);
    await expectLost(build);
    await waitUntil(async () => (await archivesWithoutBuild()).length === 0 && workedIn().length === 0);
  });
});

/** What a step of the build has of the kernel's: its network namespace, the host's end of its cable, its own cgroups. */
function hostThings(build: BuildDto): { left(): string[] } {
  const networkOf = (pid: number | 'self'): string => readlinkSync(`/proc/${pid}/ns/net`);
  // Not by their numbers, which begin anew at some time: what launched the step has the network of the host.
  const step = stubborn.processesOf(build).find((pid) => networkOf(pid) !== networkOf('self')) ?? 0;
  const namespace = networkOf(step);
  const link = execFileSync('nsenter', [`--net=/proc/${step}/ns/net`, 'ip', '-o', 'link', 'show', 'eth0'], {
    encoding: 'utf8',
  });
  const index = /@if(\d+)/.exec(link)?.[1] ?? '';
  expect(indexesOfLinks()).toContain(index);
  const cgroups = cgroupsOf(step).filter((cgroup) => !cgroupsOf(doomed.pid).includes(cgroup));
  return {
    left: () => [
      ...indexesOfLinks().filter((each) => each === index),
      ...namespacesInUse().filter((each) => each === namespace),
      ...cgroups.filter((cgroup) => cgroupExists(cgroup)),
    ],
  };
}

function indexesOfLinks(): string[] {
  const names = readdirSync('/sys/class/net');
  return names.flatMap((name) => {
    try {
      return readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8').trim();
    } catch {
      // It vanished meanwhile.
      return [];
    }
  });
}

/** The network namespaces in which a process is, or which are mounted somewhere. */
function namespacesInUse(): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const mounted = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').match(/net:\[\d+\]/g) ?? [];
      return [readlinkSync(`/proc/${pid}/ns/net`), ...mounted];
    } catch {
      return [];
    }
  });
}

const cgroupsOf = (pid: number): string[] => readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');

/** proc(5): `hierarchy:controllers:path`. */
function cgroupExists(line: string): boolean {
  const [, controllers = '', place = ''] = line.split(':');
  const root = path.join('/sys/fs/cgroup', controllers.replace('name=', ''));
  try {
    readdirSync(path.join(root, place));
    return true;
  } catch {
    return false;
  }
}
