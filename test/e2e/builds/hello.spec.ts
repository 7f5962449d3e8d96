import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildStatusDto } from '../../../src/build-status/build-status.dto';
import type { BuildDto } from '../../../src/builds/build.dto';
import type { ProjectDto } from '../../../src/projects/project.dto';
import { BuildRepository } from '../../support/build-repository';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';
import { waitUntil } from '../../support/wait-until';
import type { LogClient } from '../build-logs/log-client';

/** The example as it is shipped. */
const dockerfile = readFileSync(path.join(__dirname, '../../../examples/hello/Dockerfile'), 'utf8');
const instructions = dockerfile.split('\n').filter((line) => /^[A-Z]+ /.test(line));

/** What its RUN steps print over some seconds. */
const printed = ['Hi from', 'Fitting the frame', 'Fitting the wheels', 'Fitting the paint', 'Counting the tools'];

const repository = new BuildRepository();
let service: Service;
let tenant: Tenant;
let project: ProjectDto;
let commit: string;

beforeAll(async () => {
  commit = repository.branch('main', { Dockerfile: dockerfile }, { authorName: 'Grace', authorEmail: 'g@example.com' });
  service = await Service.startOnServer({ settings: repository.settings });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: repository.git.url, build_args: { GREETING: 'Hi' } });
});

afterAll(async () => {
  await service.stop();
  repository.remove();
});

/** Asks for the status until the build has ended. */
async function watch(buildId: string): Promise<BuildStatusDto[]> {
  const seen: BuildStatusDto[] = [];
  for (;;) {
    const status = await tenant.status(buildId);
    seen.push(status);
    if (status.status !== 'in_progress') return seen;
    await sleep(50);
  }
}

describe('the first build of the example', () => {
  let build: BuildDto;
  let client: LogClient;
  let statuses: BuildStatusDto[];
  /** When each of these texts had arrived over the WebSocket, and what the build was then. */
  const arrivals: { readonly ms: number; readonly status: string }[] = [];

  beforeAll(async () => {
    const queued = await tenant.create(project, { branch: 'main' });
    expect(await tenant.status(queued.id)).toMatchObject({ status: 'queued', progress: null, started_at: null });
    client = await tenant.follow(queued.id);
    await tenant.start(queued.id);
    const watching = watch(queued.id);
    for (const text of printed) {
      await waitUntil(() => client.lines.some((line) => line.startsWith(text)));
      arrivals.push({ ms: performance.now(), status: (await tenant.build(queued.id)).status });
    }
    statuses = await watching;
    build = await tenant.end(queued.id);
  });

  it('succeeds, and says of which commit and by whom', () => {
    expect(build).toMatchObject({
      status: 'success',
      build_number: 1,
      error_message: null,
      git_commit: commit,
      git_author_name: 'Grace',
      git_author_email: 'g@example.com',
      image_reference: null,
    });
    expect(build.image_digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(Date.parse(build.completed_at ?? '')).toBeGreaterThan(Date.parse(build.started_at ?? ''));
  });

  it('streams the lines of each RUN step while it runs', () => {
    expect(arrivals.map(({ status }) => status)).toEqual(printed.map(() => 'in_progress'));
    const [, frame, wheels, paint] = arrivals.map(({ ms }) => ms);
    expect(Number(wheels) - Number(frame)).toBeGreaterThan(250);
    expect(Number(paint) - Number(frame)).toBeGreaterThan(1_500);
  });

  it('gives each line its level and its step', () => {
    const ofBuild = client.messages.slice(1);
    expect(ofBuild.map(({ level }) => level)).toEqual(ofBuild.map(() => 'INFO'));
    const steps = [...new Set(ofBuild.map(({ metadata }) => metadata?.step))];
    const numbered = instructions.map((_, index) => `build ${index + 1}/${instructions.length}`);
    expect(steps).toEqual(['checkout', ...numbered, 'publish']);
    expect(client.messages.find(({ message }) => message.startsWith('Hi'))?.metadata).toEqual({
      step: `build ${instructions.findIndex((line) => line.includes('$GREETING')) + 1}/${instructions.length}`,
    });
  });

  it('moves its progress on, which never falls and is whole only at success', () => {
    const steps = statuses.map(({ progress }) => progress?.current_step ?? -1);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(new Set(steps).size).toBeGreaterThan(4);
    const whole = instructions.length + 2;
    expect(statuses.at(-1)?.progress).toEqual({ current_step: whole, total_steps: whole, percentage: 100 });
    const before = statuses
      .filter(({ status }) => status === 'in_progress')
      .map(({ progress }) => progress?.percentage);
    expect(Math.max(...before.map(Number))).toBeLessThan(100);
  });

  it('has no estimate of its end, as there is no history', () => {
    expect(new Set(statuses.map(({ estimated_completion }) => estimated_completion))).toEqual(new Set([null]));
  });

  it('closes the stream 1000 with its outcome, after the same lines as the pages', async () => {
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    const streamed = client.messages.map(({ build_id, ...entry }) => {
      expect(build_id).toBe(build.id);
      return entry;
    });
    expect(streamed).toEqual(await tenant.log(build.id, 7));
  });

  it('gives its image as an archive that skopeo accepts, with the recorded digest', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'image-factory-image-'));
    const archive = path.join(directory, 'image.tar');
    const response = await fetch(`${service.url}/api/v1/builds/${build.id}/image`, {
      headers: { authorization: `Bearer ${tenant.caller.token ?? ''}` },
    });
    expect(response.status).toBe(200);
    writeFileSync(archive, Buffer.from(await response.arrayBuffer()));
    const inspected = execFileSync('skopeo', ['inspect', `oci-archive:${archive}`], { encoding: 'utf8' });
    expect(JSON.parse(inspected)).toMatchObject({ Digest: build.image_digest });
    rmSync(directory, { recursive: true });
  });

  it('leaves no workspace', () => {
    const left = execFileSync('find', [
      `${service.dataDir}/workspaces`,
      `${service.dataDir}/scratch`,
      '-mindepth',
      '1',
    ]);
    expect(left.toString()).toBe('');
  });
});

describe('the next build of the example', () => {
  let statuses: BuildStatusDto[];
  let build: BuildDto;

  beforeAll(async () => {
    build = await tenant.begin(project, { branch: 'main', args: { GREETING: 'Good morning' } });
    statuses = await watch(build.id);
  });

  it('takes its own build arguments before those of the project', async () => {
    expect(statuses.at(-1)?.status).toBe('success');
    expect((await tenant.lines(build.id)).filter((line) => line.startsWith('Good morning'))).toHaveLength(1);
  });

  it('has an estimate of its end in the near future, and none any more once it has ended', () => {
    const running = statuses.filter(({ status }) => status === 'in_progress');
    const started = Date.parse(build.started_at ?? '');
    const estimates = running.map(({ estimated_completion }) => Date.parse(estimated_completion ?? ''));
    expect(Math.min(...estimates)).toBeGreaterThan(started);
    expect(Math.max(...estimates)).toBeLessThan(started + 60_000);
    expect(statuses.at(-1)?.estimated_completion).toBeNull();
  });
});
