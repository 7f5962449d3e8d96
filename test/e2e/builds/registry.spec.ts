import type { BuildDto } from '../../../src/builds/build.dto';
import type { ProjectDto } from '../../../src/projects/project.dto';
import { BuildRepository, shell } from '../../support/build-repository';
import { password, Registry } from '../../support/engine/registry';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';

const repository = new BuildRepository();
/** Where nothing listens. */
const nobody = '127.0.0.1:1';
let registry: Registry;
let service: Service;
/** May use the operator's credentials below `team`. */
let granted: Tenant;
let stranger: Tenant;
let base: BuildDto;

beforeAll(async () => {
  registry = await Registry.start();
  repository.script('base', 'RUN echo of the base > /base');
  const settings = {
    ...repository.settings,
    REGISTRY_AUTH_FILE: await registry.writeAuthFile(),
    BUILD_EGRESS_ALLOW: `${registry.host},${nobody}`,
  };
  service = await Service.startOnServer({ settings });
  granted = await Tenant.make(service, [`${registry.host}/team`]);
  stranger = await Tenant.make(service);
  base = await granted.run(await makeProject(granted, 'team/base'), { branch: 'base' });
  repository.branch('app', { Dockerfile: `FROM ${base.image_reference ?? ''}\nRUN cat /base\n` });
});

afterAll(async () => {
  await service.stop();
  await registry.stop();
  repository.remove();
});

/** A project that pushes to a repository of the registry, or to none. */
function makeProject(tenant: Tenant, image: string | null = null): Promise<ProjectDto> {
  const image_repository = image === null ? null : `${registry.host}/${image}`;
  return tenant.project({ repository_url: repository.git.url, image_repository });
}

describe('a tenant with a grant', () => {
  it('pushes an image, whose digest the registry confirms', async () => {
    expect(base).toMatchObject({ status: 'success', error_message: null });
    expect(base.image_reference).toBe(`${registry.host}/team/base@${base.image_digest ?? ''}`);
    const tag = `${base.build_number}-${base.git_commit?.slice(0, 12) ?? ''}`;
    expect(await registry.digestOf('team/base', tag)).toBe(base.image_digest);
    expect((await granted.lines(base.id)).at(-1)).toBe(`Build succeeded: ${base.image_reference ?? ''}`);
    expect((await granted.caller.get(`/builds/${base.id}/image`)).status).toBe(404);
  });

  it('builds on a private image', async () => {
    const build = await granted.run(await makeProject(granted, 'team/deep/app'), { branch: 'app' });
    expect(build).toMatchObject({ status: 'success', error_message: null });
    expect(build.image_reference).toMatch(`${registry.host}/team/deep/app@sha256:`);
    expect(await granted.lines(build.id)).toContain('of the base');
  });

  it('learns which base image is missing', async () => {
    const absent = `${registry.host}/team/absent:1`;
    repository.branch('lost', { Dockerfile: `FROM ${absent}\n` });
    const build = await granted.run(await makeProject(granted), { branch: 'lost' });
    expect(build).toMatchObject({
      status: 'failed',
      error_message: `base image "${absent}": not found in the registry`,
    });
    expect((await granted.lines(build.id)).at(-1)).toBe(`Build failed: ${build.error_message ?? ''}`);
  });

  it('cannot push beside its prefix', async () => {
    const build = await granted.run(await makeProject(granted, 'teammate/app'), { branch: 'base' });
    expect(build.status).toBe('failed');
    expect(build.error_message).toMatch(/^push to ".*\/teammate\/app:.*": .*refused access without credentials/);
  });
});

describe('a tenant without a grant', () => {
  it('cannot push', async () => {
    const build = await stranger.run(await makeProject(stranger, 'team/base'), { branch: 'base' });
    expect(build).toMatchObject({ status: 'failed', image_digest: null, image_reference: null });
    expect(build.error_message).toMatch(/^push to ".*\/team\/base:.*": .*refused access without credentials/);
    expect((await stranger.lines(build.id)).at(-1)).toBe(`Build failed: ${build.error_message ?? ''}`);
  });

  it('cannot build on a private image', async () => {
    const build = await stranger.run(await makeProject(stranger), { branch: 'app' });
    expect(build.status).toBe('failed');
    expect(build.error_message).toMatch(/^base image ".*": .*refused access without credentials/);
  });
});

describe("the operator's credentials", () => {
  /** So that what looks for a text does not contain it. */
  const bracketed = (text: string): string => `[${text.slice(0, 1)}]${text.slice(1)}`;

  it('are nowhere that a RUN step looks', async () => {
    const texts = [password, registry.basic()].map((text) => `-e '${bracketed(text)}'`).join(' ');
    repository.branch('curious', {
      Dockerfile: [
        `FROM ${base.image_reference ?? ''}`,
        `RUN printf '%s%s' '${password.slice(0, 3)}' '${password.slice(3)}' > /planted`,
        `RUN echo "in files: $(find / -xdev -type f -size -200k -exec grep -l ${texts} {} + | wc -l)"`,
        `RUN echo "in processes: $(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c ${texts})"`,
        `RUN env | grep -ci -e auth -e registry -e secret || echo "nothing in the environment"`,
      ].join('\n'),
    });
    const build = await granted.run(await makeProject(granted, 'team/curious'), { branch: 'curious' });
    const lines = await granted.lines(build.id);
    expect(lines).toEqual(expect.arrayContaining(['in files: 1', 'in processes: 0', 'nothing in the environment']));
  });

  it('are masked wherever a build prints them, stored and streamed', async () => {
    const half = Math.floor(password.length / 2);
    repository.script(
      'talkative',
      `RUN echo plain: ${password}`,
      `RUN printf 'split: ${password.slice(0, half)}'; sleep 1; echo '${password.slice(half)}'`,
      `RUN echo base64: ${registry.basic()}`,
      `RUN echo of another: $(echo -n "x${password}y" | base64)`,
      `RUN echo '${password}' >&2; exit 3`,
    );
    const { id } = await granted.create(await makeProject(granted), { branch: 'talkative' });
    const client = await granted.follow(id);
    await granted.start(id);
    const build = await granted.end(id);
    await client.closed;
    const lines = await granted.lines(id);
    // What a second of silence leaves of an unfinished line is a line of its own; the beginning of a secret waits.
    const printed = lines.filter((line) => line.includes('***') && !line.startsWith('STEP'));
    expect(printed.slice(0, 3)).toEqual(['plain: ***', '***', 'base64: ***']);
    expect(lines).toContain('split: ');
    expect(lines.find((line) => line.startsWith('of another: '))).toMatch(/^of another: \w{1,4}\*\*\*\w{0,4}=*$/);
    expect(build.error_message).toMatch(/"RUN echo '\*\*\*' >&2; exit 3" failed with exit code 3$/);
    const told = [...lines, ...client.lines, build.error_message, ...service.output].join('\n');
    const core = registry.basic().slice(4, -4);
    for (const secret of [password, registry.basic(), core]) expect(told).not.toContain(secret);
  });

  it('fail a push in plain words when the registry refuses them', async () => {
    // The file of the service: it is named by the length of the password.
    await registry.writeAuthFile('x'.repeat(password.length));
    const build = await granted.run(await makeProject(granted, 'team/base'), { branch: 'base' });
    await registry.writeAuthFile();
    expect(build.status).toBe('failed');
    expect(build.error_message).toMatch(/^push to ".*": the registry refused the credentials/);
    expect((await granted.lines(build.id)).at(-1)).toBe(`Build failed: ${build.error_message ?? ''}`);
  });

  it('are read anew for each build', async () => {
    const build = await granted.run(await makeProject(granted, 'team/base'), { branch: 'base' });
    expect(build.status).toBe('success');
  });
});

it('says that a registry cannot be reached', async () => {
  repository.branch('nowhere', { Dockerfile: `FROM ${nobody}/nothing\n${shell.replace(/^.*\n/, '')}` });
  const build = await stranger.run(await makeProject(stranger), { branch: 'nowhere' });
  expect(build.error_message).toMatch(
    /^base image "127\.0\.0\.1:1\/nothing": registry unreachable: .*re(?:fused|set by peer) \(after 4 tries\)$/,
  );
  const tries = (await stranger.lines(build.id)).map((line) => /try (\d) of 4 follows in \d+ s$/.exec(line)?.[1]);
  expect(tries.filter((number) => number !== undefined)).toEqual(['2', '3', '4']);
});
