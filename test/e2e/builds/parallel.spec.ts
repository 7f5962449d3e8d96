import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../../src/builds/build.dto';
import { BuildRepository, shell } from '../../support/build-repository';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';
import { waitUntil } from '../../support/wait-until';
import type { LogClient } from '../build-logs/log-client';

/** A build of one of two tenants, as its tenant's follower saw it. */
interface Followed {
  readonly name: string;
  readonly tenant: Tenant;
  readonly build: BuildDto;
  readonly client: LogClient;
  /** The status of the build when the first line of its own came. */
  readonly statusAtFirstLine: string;
}

const repository = new BuildRepository();
const artifacts = mkdtempSync(path.join(tmpdir(), 'image-factory-artifacts-'));
const names = ['red', 'green', 'blue', 'black'];
let database: TestPostgres;
let api: Service;
let worker: Service;
let followed: Followed[];
let mostAtOnce = 0;

/** One that looks for the files of the others, and takes long enough to meet them. */
function dockerfile(name: string): string {
  const steps = ['sleep 1', `echo mine: ${name}`, 'sleep 1', "find / -xdev -name 'only-*'"];
  return `${shell}COPY . /context\nRUN ${steps.join('; ')}\n`;
}

beforeAll(async () => {
  for (const name of names) repository.branch(name, { Dockerfile: dockerfile(name), [`only-${name}`]: name });
  database = await startTestPostgres();
  const common = { ...repository.settings, ARTIFACT_DIR: artifacts };
  const start = (settings: Record<string, string>): Promise<Service> =>
    Service.start({ databaseUrl: database.url, settings: { ...common, ...settings } });
  [api, worker] = await Promise.all([start({ ROLES: 'api' }), start({ ROLES: 'worker', WORKER_SLOTS: '2' })]);

  const tenants = [await Tenant.make(api), await Tenant.make(api)];
  const builds: { name: string; tenant: Tenant; build: BuildDto }[] = [];
  for (const [index, tenant] of tenants.entries()) {
    const project = await tenant.project({ repository_url: repository.git.url });
    for (const name of names.slice(index * 2, index * 2 + 2)) {
      builds.push({ name, tenant, build: await tenant.create(project, { branch: name }) });
    }
  }
  const following = builds.map(({ name, tenant, build }) => follow(name, tenant, build.id));
  const all = Promise.all(following);
  const ended = all.then(() => true);
  do mostAtOnce = Math.max(mostAtOnce, await countRunning());
  while (!(await Promise.race([ended, sleep(100, false)])));
  followed = await all;
}, 120_000);

afterAll(async () => {
  await Promise.all([api.stop(), worker.stop()]);
  await database.stop();
  repository.remove();
  rmSync(artifacts, { recursive: true });
});

/** How many builds have a worker. */
async function countRunning(): Promise<number> {
  const rows = await api.sql('SELECT id FROM builds WHERE lease_token IS NOT NULL');
  return rows.length;
}

async function follow(name: string, tenant: Tenant, buildId: string): Promise<Followed> {
  const client = await tenant.follow(buildId);
  await tenant.start(buildId);
  await waitUntil(() => client.lines.includes(`mine: ${name}`), 90_000);
  const { status } = await tenant.build(buildId);
  return { name, tenant, build: await tenant.end(buildId), client, statusAtFirstLine: status };
}

describe('four builds of two tenants at once, on one worker with two slots', () => {
  it('all succeed, never more than two at a time', () => {
    expect(followed.map(({ build }) => [build.status, build.error_message])).toEqual(
      names.map(() => ['success', null]),
    );
    expect(mostAtOnce).toBe(2);
  });

  it('see nothing of one another', async () => {
    for (const { name, tenant, build } of followed) {
      const lines = await tenant.lines(build.id);
      const found = lines.slice(lines.indexOf(`mine: ${name}`)).filter((line) => line.includes('only-'));
      expect(found).toEqual([`/context/only-${name}`]);
    }
  });

  it('are followed live through another process than the one that runs them', async () => {
    for (const { tenant, build, client, statusAtFirstLine } of followed) {
      expect(statusAtFirstLine).toBe('in_progress');
      expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
      expect(client.lines).toEqual(await tenant.lines(build.id));
    }
  });

  it('have images that the other process serves', async () => {
    for (const { tenant, build } of followed) {
      expect((await tenant.caller.get(`/builds/${build.id}/image`)).status).toBe(200);
    }
  });

  it('are another tenant’s secret', async () => {
    const [first, , third] = followed;
    expect((await first?.tenant.caller.get(`/builds/${third?.build.id ?? ''}`))?.status).toBe(404);
    expect((await first?.tenant.caller.get(`/builds/${third?.build.id ?? ''}/image`))?.status).toBe(404);
  });
});
