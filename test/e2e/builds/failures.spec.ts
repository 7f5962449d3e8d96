import type { BuildDto } from '../../../src/builds/build.dto';
import type { ProjectDto } from '../../../src/projects/project.dto';
import { BuildRepository } from '../../support/build-repository';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';

const repository = new BuildRepository();
const absentCommit = 'feedfacefeedfacefeedfacefeedfacefeedface';
let service: Service;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  repository.script('main', 'RUN echo fine');
  repository.script('exit', 'RUN echo before; exit 7', 'RUN echo after');
  repository.branch('no-dockerfile', { README: 'nothing to build' });
  repository.script('syntax', 'RUN echo fine', 'RUNN echo what');
  repository.script('no-file', 'COPY absent /absent');
  repository.script('slow', 'RUN sleep 30');
  service = await Service.startOnServer({ settings: repository.settings });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: repository.git.url });
});

afterAll(async () => {
  await service.stop();
  repository.remove();
});

/** Everything that tells of a failed build must tell the same. */
async function expectFailure(build: BuildDto, message: string | RegExp): Promise<void> {
  expect(build).toMatchObject({ status: 'failed', image_digest: null, image_reference: null });
  expect(build.error_message).toMatch(message);
  expect(build.completed_at).not.toBeNull();
  expect(await tenant.status(build.id)).toMatchObject({ status: 'failed', error: build.error_message });
  const log = await tenant.log(build.id);
  expect(log.at(-1)).toMatchObject({ level: 'ERROR', message: `Build failed: ${build.error_message ?? ''}` });
  const client = await tenant.follow(build.id);
  expect(await client.closed).toEqual({ code: 1000, reason: 'failed' });
  expect(client.lines).toEqual(log.map((entry) => entry.message));
  expect((await tenant.caller.get(`/builds/${build.id}/image`)).status).toBe(404);
}

describe('a build fails in words that a person understands', () => {
  it.each([
    ['a RUN step that fails', 'exit', 'Step 4/5 "RUN echo before; exit 7" failed with exit code 7'],
    ['a missing branch', 'absent', 'Branch or tag "absent" does not exist in file://'],
    ['a missing Dockerfile', 'no-dockerfile', 'Dockerfile "Dockerfile" does not exist'],
    ['an unknown instruction', 'syntax', 'Dockerfile "Dockerfile": line 5: unknown instruction "RUNN".'],
    ['a file to copy that is not there', 'no-file', /^Step 4\/4 "COPY absent \/absent" failed: .*no such file/],
  ])('for %s', async (_, branch, message) => {
    await expectFailure(await tenant.run(project, { branch }), message);
  });

  it('for a commit that does not exist', async () => {
    const build = await tenant.run(project, { branch: 'main', commit: absentCommit });
    await expectFailure(build, `Commit ${absentCommit} is not on branch or tag "main"`);
  });

  it('for a commit that is on another branch', async () => {
    const commit = repository.git.git(['rev-parse', 'exit']);
    const build = await tenant.run(project, { branch: 'main', commit: commit.slice(0, 12) });
    await expectFailure(build, `Commit ${commit.slice(0, 12)} is not on branch or tag "main"`);
  });

  it('for a repository that does not exist', async () => {
    const absent = await tenant.project({ repository_url: repository.git.url.replace('repository.git', 'absent.git') });
    const build = await tenant.run(absent, { branch: 'main' });
    await expectFailure(build, /^There is no git repository at file:.*absent\.git/);
  });

  it('for a build that takes too long, which is stopped', async () => {
    const hasty = await tenant.project({ repository_url: repository.git.url, build_timeout_seconds: 3 });
    const build = await tenant.run(hasty, { branch: 'slow' });
    await expectFailure(build, 'The build took longer than its limit of 3 seconds');
    const seconds = (Date.parse(build.completed_at ?? '') - Date.parse(build.started_at ?? '')) / 1_000;
    expect(seconds).toBeGreaterThanOrEqual(3);
    expect(seconds).toBeLessThan(20);
  });
});

describe('the retry of a failed build', () => {
  it('is a build of its own for the same commit, also when the branch has forgotten that commit', async () => {
    const commit = repository.script('pushed', 'ARG CODE=1', 'RUN exit $CODE');
    const failed = await tenant.run(project, { branch: 'pushed', args: { CODE: '9' } });
    await expectFailure(failed, 'failed with exit code 9');
    expect(failed.git_commit).toBe(commit);
    expect(repository.script('pushed', 'RUN echo another history')).not.toBe(commit);

    const retry = (await tenant.caller.post<BuildDto>(`/builds/${failed.id}/retry`)).expect(200);
    expect(retry).toMatchObject({
      status: 'queued',
      retry_of: failed.id,
      build_number: failed.build_number + 1,
      git_branch: 'pushed',
      git_commit: commit,
      build_args: { CODE: '9' },
    });
    await tenant.start(retry.id);
    const again = await tenant.end(retry.id);
    await expectFailure(again, 'failed with exit code 9');
    expect(await tenant.lines(again.id)).toContain(`At commit ${commit}`);
    expect(await tenant.build(failed.id)).toEqual(failed);
  });

  it('is refused for a build that succeeded', async () => {
    const build = await tenant.run(project, { branch: 'main' });
    expect(build.status).toBe('success');
    expect((await tenant.caller.post(`/builds/${build.id}/retry`)).status).toBe(409);
  });
});
