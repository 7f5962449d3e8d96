import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { processesWith } from '../support/engine/processes';
import { Registry } from '../support/engine/registry';
import { Service } from '../support/service';
import { Tenant } from '../support/tenant';

const pushLimit = 40;

const repository = new BuildRepository();
let registry: Registry;
let service: Service;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  repository.script('main', 'RUN echo built; sleep 2');
  registry = await Registry.start();
  const settings = {
    ...repository.settings,
    BUILD_EGRESS_ALLOW: registry.host,
    REGISTRY_AUTH_FILE: await registry.writeAuthFile(),
    PUSH_TIMEOUT_SECONDS: String(pushLimit),
  };
  service = await Service.startOnServer({ settings });
  tenant = await Tenant.make(service, [registry.host]);
  project = await tenant.project({
    repository_url: repository.git.url,
    image_repository: `${registry.host}/team/app`,
  });
});

afterAll(async () => {
  await service.stop();
  await registry.stop();
  repository.remove();
});

/** Starts a build, and kills the registry while its steps still run. */
async function beginAndKillRegistry(): Promise<BuildDto> {
  const build = await tenant.begin(project, { branch: 'main' });
  await tenant.line(build.id, 'built');
  await registry.kill();
  return build;
}

const pushLines = async (buildId: string): Promise<string[]> =>
  (await tenant.log(buildId))
    .filter(({ level, metadata }) => level === 'WARN' && metadata?.step === 'publish')
    .map(({ message }) => message)
    .filter((message) => message.includes('follows in'));

describe('a registry that was killed between build and push', () => {
  it('gets the image when it comes back during the retries', async () => {
    const { id } = await beginAndKillRegistry();
    await tenant.line(id, 'try 2 of 4 follows in 1 s');
    await registry.restart();
    const build = await tenant.end(id);
    expect(build).toMatchObject({ status: 'success', error_message: null });
    const tag = `${build.build_number}-${build.git_commit?.slice(0, 12) ?? ''}`;
    expect(await registry.digestOf('team/app', tag)).toBe(build.image_digest);
  });

  it('fails the build in plain words when it stays away, after tries that the log tells', async () => {
    const { id } = await beginAndKillRegistry();
    const build = await tenant.end(id);
    await registry.restart();
    const shown = `${registry.host}/team/app:${build.build_number}-${build.git_commit?.slice(0, 12) ?? ''}`;
    const cause = `push to "${shown}": registry unreachable: connection reset by peer`;
    expect(build).toMatchObject({
      status: 'failed',
      error_message: `${cause} (after 4 tries)`,
      image_digest: null,
      image_reference: null,
    });
    expect(await pushLines(id)).toEqual([
      `${cause}; try 2 of 4 follows in 1 s`,
      `${cause}; try 3 of 4 follows in 4 s`,
      `${cause}; try 4 of 4 follows in 16 s`,
    ]);
    expect(processesWith(id)).toEqual([]);
  });
});

it('lets a registry that hung for a while have the image, when it goes on within the limit', async () => {
  const { id } = await tenant.begin(project, { branch: 'main' });
  await tenant.line(id, 'built');
  registry.freeze();
  await tenant.line(id, 'Pushing the image');
  expect(await tenant.build(id)).toMatchObject({ status: 'in_progress' });
  registry.thaw();
  expect(await tenant.end(id)).toMatchObject({ status: 'success', error_message: null });
});
