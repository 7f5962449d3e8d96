import { execFileSync } from 'node:child_process';
import { BuildFailure } from '../../../src/execution/image-builder';
import { EngineRoom, shell, type BuildWishes, type Files } from '../../support/engine/engine-room';
import { password, Registry } from '../../support/engine/registry';

let registry: Registry;
let room: EngineRoom;
let team: string;

beforeAll(async () => {
  registry = await Registry.start();
  team = `${registry.host}/team`;
  room = await EngineRoom.open({ authFile: await registry.writeAuthFile(), egress: { allow: [registry.host] } });
  await room.build({ Dockerfile: shell }, { imageRepository: `${team}/base`, tag: 'v1', registryPrefixes: [team] });
});
afterAll(async () => {
  await room.close();
  await registry.stop();
});

const failure = async (files: Files, wishes: BuildWishes, from = room): Promise<string> => {
  const error: unknown = await from.build(files, wishes).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BuildFailure);
  return error instanceof Error ? error.message : '';
};

describe('with credentials that are granted for the repository', () => {
  it('pulls a private base image and pushes the result, whose digest the registry confirms', async () => {
    const { image, output } = await room.build(
      { Dockerfile: `ARG TAG=v1\nFROM ${team}/base:\${TAG}\nRUN echo on the base\n` },
      { imageRepository: `${team}/app`, tag: '7-abc', registryPrefixes: [team], projectId: 'pulling' },
    );
    expect(output.messages('build 2/2')).toContain('on the base');
    expect(output.messages('pull')[0]).toBe(`Pulling base image ${team}/base:v1`);
    expect(image.reference).toBe(`${team}/app@${image.digest}`);
    expect(await registry.digestOf('team/app', '7-abc')).toBe(image.digest);
    expect(output.done.at(-1)).toBe(output.total);
  });

  it('takes files from a private image by COPY --from', async () => {
    const { output } = await room.build(
      { Dockerfile: `${shell}COPY --from=${team}/base:v1 /bin/busybox /copied\nRUN ls /copied\n` },
      { registryPrefixes: [team] },
    );
    expect(output.messages('build 5/5')).toContain('/copied');
  });

  it('pulls by digest', async () => {
    const digest = await registry.digestOf('team/base', 'v1');
    const { image } = await room.build(
      { Dockerfile: `FROM ${team}/base@${String(digest)}\nRUN true\n` },
      { registryPrefixes: [team], projectId: 'by-digest' },
    );
    expect(image.digest).toMatch(/^sha256:/);
  });

  it('sees a tag that has moved', async () => {
    const wishes = { imageRepository: `${team}/moving`, tag: 'v1', registryPrefixes: [team] };
    const use = { Dockerfile: `FROM ${team}/moving:v1\nRUN cat /which\n` };
    const seen = [];
    for (const which of ['first', 'second']) {
      await room.build({ Dockerfile: `${shell}RUN echo ${which} > /which\n` }, wishes);
      const { output } = await room.build(use, { registryPrefixes: [team], projectId: 'user-of-moving' });
      seen.push(output.messages('build 2/2').find((message) => message === which));
    }
    expect(seen).toEqual(['first', 'second']);
  });

  it('tells a base image that is not there', async () => {
    const message = await failure({ Dockerfile: `FROM ${team}/absent:v9\n` }, { registryPrefixes: [team] });
    expect(message).toBe(`base image "${team}/absent:v9": not found in the registry`);
  });
});

describe('without a grant', () => {
  it.each([
    ['no prefix', []],
    ['the prefix of another team', ['other']],
    ['a prefix that only begins alike', ['tea']],
  ])('uses no credentials: %s', async (_, names) => {
    const registryPrefixes = names.map((name) => `${registry.host}/${name}`);
    const projectId = 'ungranted';
    expect(await failure({ Dockerfile: `FROM ${team}/base:v1\n` }, { registryPrefixes, projectId })).toBe(
      `base image "${team}/base:v1": the registry refused access without credentials: unauthorized`,
    );
    const wishes = { imageRepository: `${team}/app`, registryPrefixes, projectId };
    expect(await failure({ Dockerfile: 'FROM scratch\nCOPY busybox /\n' }, wishes)).toBe(
      `push to "${team}/app:1-abc": the registry refused access without credentials: unauthorized`,
    );
  });
});

it('tells that the registry refused wrong credentials', async () => {
  const other = await EngineRoom.open({
    authFile: await registry.writeAuthFile('wrong'),
    egress: { allow: [registry.host] },
  });
  const wishes = { imageRepository: `${team}/app`, registryPrefixes: [team] };
  try {
    expect(await failure({ Dockerfile: 'FROM scratch\nCOPY busybox /\n' }, wishes, other)).toBe(
      `push to "${team}/app:1-abc": the registry refused the credentials: unauthorized`,
    );
  } finally {
    await other.close();
  }
});

describe('the operator’s credentials', () => {
  const filesWith = (secret: string, directory: string) =>
    execFileSync('sh', ['-c', 'grep -rlF -- "$1" "$2" 2>/dev/null || true', 'sh', secret, directory], {
      encoding: 'utf8',
    })
      .split('\n')
      .filter((file) => file !== '');

  // The search joins its patterns at run time, so that it does not find itself.
  const halves = (text: string) => `"${text.slice(0, 8)}""${text.slice(8)}"`;
  const search = (secrets: string[]) =>
    `for secret in ${secrets.map(halves).join(' ')}; do find / -xdev -type f -print0 | xargs -0 grep -lF "$secret"; ` +
    `grep -lF "$secret" /proc/[0-9]*/environ /proc/[0-9]*/cmdline /run/* /tmp/* 2>/dev/null; done; echo searched`;

  it('are found by no RUN, in no file and no process, though a planted copy is', async () => {
    const secrets = [password, registry.basic()];
    const { output } = await room.build(
      {
        Dockerfile: `FROM ${team}/base:v1\nCOPY planted /planted\nRUN ${search(secrets)}\n`,
        planted: secrets.join('\n'),
      },
      { registryPrefixes: [team], imageRepository: `${team}/app`, projectId: 'searching' },
    );
    const found = output.messages('build 3/3').filter((message) => message.startsWith('/'));
    expect(found).toEqual(['/planted', '/planted']);
    expect(output.messages('build 3/3')).toContain('searched');
  });

  it('are not on the disk of the worker while the Dockerfile runs', async () => {
    const stop = new AbortController();
    const { built, output } = await room.begin(
      { Dockerfile: `FROM ${team}/base:v1\nRUN echo $((40 + 2)) up; sleep 60\n` },
      { registryPrefixes: [team], projectId: 'watched', signal: stop.signal },
    );
    await output.next('42 up');
    const found = [password, registry.basic()].flatMap((secret) => filesWith(secret, room.dataDir));
    expect(found.filter((file) => !file.endsWith('/planted'))).toEqual([]);
    stop.abort(new Error('seen'));
    await expect(built).rejects.toThrow('seen');
  });
});
