import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { processesWith } from '../support/engine/processes';
import { Service } from '../support/service';
import { StallingProxy } from '../support/stalling-proxy';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const limit = 4;
/** Time enough to come to the RUN step. */
const buildLimit = 10;
/** TERM, 10 s, KILL, and what a busy machine takes, in seconds. */
const endsWithin = 25;

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
/** A git server and a registry in one: it takes every connection, and never says a word. */
let silent: StallingProxy;
let service: Service;
let tenant: Tenant;

beforeAll(async () => {
  repository.script('main', 'RUN echo built');
  silent = await StallingProxy.start();
  const settings = {
    ...repository.settings,
    GIT_ALLOWED_PROTOCOLS: 'git',
    BUILD_EGRESS_ALLOW: silent.host,
    CHECKOUT_TIMEOUT_SECONDS: String(limit),
    PUSH_TIMEOUT_SECONDS: String(limit),
    WORKER_SLOTS: '3',
  };
  service = await Service.startOnServer({ settings });
  tenant = await Tenant.make(service);
});

afterAll(async () => {
  await service.stop();
  await silent.stop();
  repository.remove();
});

const fromSilentServer = (): Promise<ProjectDto> => tenant.project({ repository_url: `git://${silent.host}/team/app` });
const toSilentRegistry = (): Promise<ProjectDto> =>
  tenant.project({ repository_url: repository.git.url, image_repository: `${silent.host}/team/app` });
const tooSlow = (): Promise<ProjectDto> =>
  tenant.project({ repository_url: repository.git.url, build_timeout_seconds: buildLimit });

const secondsBetween = (from: string | null, to: string | null): number =>
  (Date.parse(to ?? '') - Date.parse(from ?? '')) / 1_000;

/** What a build left on this machine. */
function leftOf({ id }: BuildDto): string[] {
  const found = readdirSync(service.dataDir, { recursive: true, encoding: 'utf8' });
  return found.filter((name) => path.basename(name).startsWith(id));
}

it.each([
  {
    name: 'a checkout from a server that takes the connection and never answers',
    project: fromSilentServer,
    branch: 'main',
    limit,
    told: 'Checking out main',
    message: 'The checkout took longer than its limit of 4 seconds (CHECKOUT_TIMEOUT_SECONDS)',
  },
  {
    name: 'a push to a registry that takes the connection and never answers',
    project: toSilentRegistry,
    branch: 'main',
    limit,
    told: 'built',
    message: 'The push of the image took longer than its limit of 4 seconds (PUSH_TIMEOUT_SECONDS)',
  },
  {
    name: 'a RUN step that ignores TERM',
    project: tooSlow,
    branch: 'stubborn',
    limit: buildLimit,
    told: 'armed',
    message: "The build took longer than its limit of 10 seconds (the project's build_timeout_seconds)",
  },
])(
  'ends $name, names the limit, and leaves no process and no file',
  async ({ project, branch, message, ...expected }) => {
    const build = await tenant.run(await project(), { branch });
    expect(build).toMatchObject({ status: 'failed', error_message: message, image_digest: null });
    const seconds = secondsBetween(build.started_at, build.completed_at);
    expect(seconds).toBeGreaterThanOrEqual(expected.limit);
    expect(seconds).toBeLessThan(expected.limit + endsWithin);
    expect(stubborn.processesOf(build)).toEqual([]);
    expect(processesWith(silent.host)).toEqual([]);
    expect(leftOf(build)).toEqual([]);
    const log = await tenant.log(build.id);
    expect(log.map((entry) => entry.message)).toContain(expected.told);
    expect(log.at(-1)).toMatchObject({ level: 'ERROR', message: `Build failed: ${message}` });
  },
);

it('lets a cancel win that comes before the limit', async () => {
  const build = await tenant.begin(await fromSilentServer(), { branch: 'main' });
  await waitUntil(() => processesWith(silent.host).length > 0);
  const client = await tenant.follow(build.id);
  await tenant.cancel(build.id, 'took too long for me');
  expect(await client.closed).toEqual({ code: 1000, reason: 'cancelled' });
  expect(client.lines.at(-1)).toBe('Build stopped');
  expect(processesWith(silent.host)).toEqual([]);
  expect(await tenant.build(build.id)).toMatchObject({ status: 'cancelled', error_message: 'took too long for me' });
});

it('limits each part by itself: a build that spends its time elsewhere succeeds', async () => {
  repository.script('patient', `RUN sleep ${limit + 1}; echo rested`);
  const project = await tenant.project({ repository_url: repository.git.url });
  expect(await tenant.run(project, { branch: 'patient' })).toMatchObject({ status: 'success', error_message: null });
});
