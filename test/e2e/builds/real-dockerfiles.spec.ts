import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { BuildFailure } from '../../../src/execution/image-builder';
import { EngineRoom, shell, type Files } from '../../support/engine/engine-room';
import { Neighbour, openPort } from '../../support/engine/neighbour';
import { Registry } from '../../support/engine/registry';

const isRoot = process.geteuid?.() === 0;
let registry: Registry;
let room: EngineRoom;
let team: string;
let neighbour: Neighbour | null;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-real-'));
  registry = await Registry.start();
  team = `${registry.host}/team`;
  neighbour = isRoot ? await Neighbour.start({}) : null;
  const nameServers = neighbour === null ? [] : [neighbour.nameServer];
  room = await EngineRoom.open({
    authFile: await registry.writeAuthFile(),
    egress: { allow: [registry.host], nameServers },
  });
  const base = { Dockerfile: `${shell}RUN echo of the base > /base\n` };
  await room.build(base, { imageRepository: `${team}/base`, tag: 'v1', registryPrefixes: [team] });
}, 120_000);

afterAll(async () => {
  await room.close();
  await neighbour?.stop();
  await registry.stop();
  await rm(directory, { recursive: true });
});

type Config = Readonly<Record<string, unknown>>;

/** The configuration of an image in an OCI archive. */
function configOf(archive: string): Config {
  const text = execFileSync('skopeo', ['inspect', '--config', `oci-archive:${archive}`], { encoding: 'utf8' });
  return (JSON.parse(text) as { readonly config: Config }).config;
}

it('one of several stages, with arguments before FROM, images and stages as sources, builds twice and is cached', async () => {
  const Dockerfile = `# syntax=docker/dockerfile:1
ARG REGISTRY=nowhere.test
ARG TAG=v1
FROM --platform=$BUILDPLATFORM "\${REGISTRY}/team/base:\${TAG:-none}" AS tools
RUN echo of the tools > /tools
FROM scratch
COPY busybox /numbered

FROM $REGISTRY/team/base:v1
ARG TAG
RUN echo "tag $TAG" \\
# a comment within a step

    # and another
    && mkdir /work
COPY --from=tools /tools /from/tools
COPY --from=1 /numbered /from/numbered
COPY --from=${team}/base:v1 /base /from/image
RUN --mount=type=cache,target=/cache echo "cached: $(ls /cache)"; touch /cache/mark; cat /from/tools /from/image
COPY . /context
RUN cd /context; echo "context: $(find . -type f | sort | tr '\\n' ' ')"
RUN --mount=type=cache,target=/cache echo "second: $(ls /cache)"
`;
  const files = {
    Dockerfile,
    '.dockerignore': '# none but a few\n*\n!busybox\n!kept\nkept/*.log\n!kept/important.log\n',
    'kept/a.txt': 'a',
    'kept/debug.log': 'x',
    'kept/important.log': 'y',
    'other.txt': 'z',
  };
  const wishes = { projectId: randomUUID(), registryPrefixes: [team], buildArgs: { REGISTRY: registry.host } };
  const first = await room.build(files, wishes);
  const said = first.output.messages();
  expect(said).toEqual(expect.arrayContaining(['tag v1', 'of the tools', 'of the base', 'cached: ', 'second: mark']));
  expect(said).toContain('context: ./busybox ./kept/a.txt ./kept/important.log ');
  expect(first.output.done.at(-1)).toBe(first.output.total);

  const again = await room.build(files, wishes);
  expect(again.image.digest).toBe(first.image.digest);
  expect(again.output.messages()).not.toContain('tag v1');
  expect(again.output.messages().filter((line) => line.startsWith('--> Using cache')).length).toBeGreaterThan(8);

  const changed = { ...files, Dockerfile: Dockerfile.replace('cached:', 'found:') };
  const third = await room.build(changed, wishes);
  expect(third.output.messages()).toContain('found: mark');

  // Neither layers nor caches are those of another project.
  const elsewhere = await room.build(changed, { ...wishes, projectId: randomUUID() });
  expect(elsewhere.output.messages()).toEqual(expect.arrayContaining(['tag v1', 'found: ']));
  expect(elsewhere.output.messages().filter((line) => line.startsWith('--> Using cache'))).toEqual([]);
});

it('a Dockerfile has a list of its own of what the context leaves out, which comes before that of the context', async () => {
  const files = {
    'docker/Dockerfile': `${shell}COPY . /context\nRUN cd /context; echo "context: $(find . -type f | sort | tr '\\n' ' ')"\n`,
    'docker/Dockerfile.dockerignore': '*\n!busybox\n!own\n',
    '.dockerignore': '*\n!busybox\n!common\n',
    own: 'a',
    common: 'b',
  };
  const { output } = await room.build(files, { projectId: randomUUID(), dockerfilePath: 'docker/Dockerfile' });
  expect(output.messages()).toContain('context: ./busybox ./own ');
});

it('every instruction has its effect, in the odd ways that it may be written in as well', async () => {
  const Dockerfile = `${shell}MAINTAINER Somebody <somebody@example.com>
LABEL one=1 two="2 3" \\
      'three'='a \\
b'
ENV OLD style of many words
ENV NEW=a OTHER="b c" \\
    THIRD=d\\ e
SHELL ["/bin/sh", "-ec"]
WORKDIR /app
workdir deeper
RUN echo "env $OLD|$NEW|$OTHER|$THIRD|$PWD"
RUN ["/bin/sh", "-c", "adduser -D -u 77 app 2>/dev/null || echo 'app:x:77:77::/:/bin/sh' > /etc/passwd"]
COPY --chown=77:78 --chmod=0640 file other /copied/
RUN stat -c '%n %u %g %a' /copied/*
VOLUME ["/data", "/more"]
EXPOSE 80 443/tcp
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5m --timeout=3s CMD wget -q localhost || exit 1
ONBUILD RUN echo triggered
USER 77:78
RUN id -u; id -g
ENTRYPOINT ["/bin/sh", "-c"]
CMD echo "$OLD"
`;
  const archivePath = path.join(directory, 'image.tar');
  const { output } = await room.build({ Dockerfile, file: 'x', other: 'y' }, { archivePath, projectId: randomUUID() });
  const said = output.messages();
  expect(said).toContain('env style of many words|a|b c|d e|/app/deeper');
  expect(said).toEqual(expect.arrayContaining(['/copied/file 77 78 640', '/copied/other 77 78 640', '77', '78']));
  expect(configOf(archivePath)).toMatchObject({
    User: '77:78',
    WorkingDir: '/app/deeper',
    Volumes: { '/data': {}, '/more': {} },
    ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
    StopSignal: 'SIGQUIT',
    Entrypoint: ['/bin/sh', '-c'],
    Labels: expect.objectContaining({ one: '1', two: '2 3' }) as Config,
  });
});

it('one of another escape character, and with Windows line ends', async () => {
  const Dockerfile = ['# escape=`', ...shell.trim().split('\n'), 'RUN echo one `', '  && echo C:\\dir', ''].join(
    '\r\n',
  );
  const { output } = await room.build({ Dockerfile }, { projectId: randomUUID() });
  expect(output.messages()).toEqual(expect.arrayContaining(['one', 'C:dir']));
});

it('a here-document is built, or refused with its line where the engine does not know it', async () => {
  const files: Files = { Dockerfile: `${shell}RUN <<END\necho from here\nEND\n` };
  const { built, output } = await room.begin(files, { projectId: randomUUID() });
  const error: unknown = await built.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error === null) expect(output.messages()).toContain('from here');
  else {
    expect(error).toEqual(
      new BuildFailure(
        'Dockerfile "Dockerfile": line 4: here-documents (<<EOF) need buildah 1.33 or newer on the worker.',
      ),
    );
  }
});

(isRoot ? it : it.skip)('ADD fetches from a public server', async () => {
  const url = `http://public.test:${openPort}/file`;
  const { output } = await room.build(
    { Dockerfile: `${shell}ADD ${url} /added/\nRUN cat /added/file\n` },
    { projectId: randomUUID() },
  );
  expect(output.messages().join('\n')).toContain('reached');
  expect(neighbour?.requests.some((line) => line.endsWith('/file'))).toBe(true);
});
