import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LogEntry } from '../../src/build-logs/log-entry';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { removeDataDir } from '../support/remove-data-dir';
import { Service } from '../support/service';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const leaseSeconds = 5;

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
const dataDir = mkdtempSync(path.join(tmpdir(), 'image-factory-killed-'));
const settings = { ...repository.settings, LEASE_SECONDS: String(leaseSeconds) };
let service: Service;
let tenant: Tenant;
let project: ProjectDto;
/** What was there before the kill. */
let earlier: BuildDto;
let earlierLog: LogEntry[];
let lost: BuildDto;
let lostLog: LogEntry[];
let endedAfterMs: number;

beforeAll(async () => {
  repository.script('main', 'RUN echo fine');
  service = await Service.start({ dataDir, settings });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: repository.git.url });
  earlier = await tenant.run(project, { branch: 'main' });
  earlierLog = await tenant.log(earlier.id);
  const build = await stubborn.begin(tenant, project);
  lostLog = await tenant.log(build.id);

  const killedAt = performance.now();
  expect(await service.end('SIGKILL')).toBe('SIGKILL');
  await waitUntil(() => stubborn.processesOf(build).length === 0, 2_000);
  service = await Service.start({ dataDir, settings });
  tenant = tenant.at(service);
  lost = await tenant.end(build.id);
  endedAfterMs = performance.now() - killedAt;
}, 120_000);

afterAll(async () => {
  await service.stop();
  await removeDataDir(dataDir);
  repository.remove();
});

describe('after a kill -9 of the service during a build', () => {
  it('starts at the first try and ends the build as lost, soon after its lease', () => {
    expect(lost).toMatchObject({ status: 'failed', error_message: 'worker lost', image_digest: null });
    expect(endedAfterMs).toBeLessThan((leaseSeconds + 10) * 1_000);
  });

  it('keeps the lines that were told, and says how the build ended', async () => {
    const log = await tenant.log(lost.id);
    expect(log.slice(0, lostLog.length)).toEqual(lostLog);
    expect(log.at(-1)).toMatchObject({ level: 'ERROR', message: 'Build failed: worker lost' });
    const client = await tenant.follow(lost.id);
    expect(await client.closed).toEqual({ code: 1000, reason: 'failed' });
    expect(client.messages).toHaveLength(log.length);
  });

  it('sweeps what the build left on the disk', async () => {
    const left = (): string[] =>
      ['workspaces', 'scratch', 'artifacts']
        .flatMap((name) => readdirSync(path.join(dataDir, name)))
        .filter((name) => name !== '.image-factory-store');
    await waitUntil(() => left().length === 1);
    expect(left()).toEqual([`${earlier.id}.tar`]);
  });

  it('keeps what was there before', async () => {
    expect(await tenant.build(earlier.id)).toEqual(earlier);
    expect(await tenant.log(earlier.id)).toEqual(earlierLog);
    expect((await tenant.caller.get(`/builds/${earlier.id}/image`)).status).toBe(200);
  });

  it('builds again', async () => {
    const build = await tenant.run(project, { branch: 'main' });
    expect(build).toMatchObject({ status: 'success', build_number: lost.build_number + 1 });
  });
});
