import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { BuildahPlace } from '../../src/execution/buildah/buildah-place';
import { probeBuildah } from '../../src/execution/buildah/buildah-probe';
import { BuildFailure } from '../../src/execution/image-builder';
import { EngineRoom, shell, type BuildWishes, type Files, writeCheckout } from '../support/engine/engine-room';
import { Registry } from '../support/engine/registry';

// Debian 12's buildah 1.28.2 is exploitable. Newer engines are corrected: there the same builds may run, and see nothing.

const canary = randomUUID();
let directory: string;
let secret: string;
let registry: Registry;
let room: EngineRoom;
let team: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-canary-'));
  secret = path.join(directory, 'secret');
  await writeFile(secret, canary, { mode: 0o600 });
  registry = await Registry.start();
  team = `${registry.host}/team`;
  room = await EngineRoom.open({ authFile: await registry.writeAuthFile(), egress: { allow: [registry.host] } });
});

afterAll(async () => {
  await room.close();
  await registry.stop();
  await rm(directory, { recursive: true });
});

/** What was said by a build that had to fail. */
async function failure(files: Files, wishes: BuildWishes = {}): Promise<string> {
  const { built, output } = await room.begin(files, { projectId: randomUUID(), ...wishes });
  const error: unknown = await built.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BuildFailure);
  expect(output.messages().join('\n')).not.toContain(canary);
  return error instanceof Error ? error.message : '';
}

/** An image of Docker's format, the only one that keeps triggers. */
async function pushWithTriggers(name: string, triggers: readonly string[]): Promise<void> {
  const layer = Buffer.alloc(1_024);
  const packed = gzipSync(layer);
  const digest = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { OnBuild: triggers },
      rootfs: { type: 'layers', diff_ids: [digest(layer)] },
    }),
  );
  const type = 'application/vnd.docker.distribution.manifest.v2+json';
  const part = (kind: string, bytes: Buffer) => ({
    mediaType: `application/vnd.docker.${kind}`,
    size: bytes.length,
    digest: digest(bytes),
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: type,
    config: part('container.image.v1+json', config),
    layers: [part('image.rootfs.diff.tar.gzip', packed)],
  };
  const headers = { authorization: `Basic ${registry.basic()}` };
  const base = `http://${registry.host}/v2/team/${name}`;
  for (const bytes of [config, packed]) {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST', headers });
    const put = `${begun.headers.get('location') ?? ''}&digest=${digest(bytes)}`;
    expect((await fetch(put, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status).toBe(201);
  }
  const made = await fetch(`${base}/manifests/v1`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': type },
    body: JSON.stringify(manifest),
  });
  expect(made.status).toBe(201);
}

const linked = (to: string): string =>
  `FROM scratch AS base\nCOPY link /link\nFROM scratch\nCOPY busybox /bin/busybox\n${to}`;
const show = `["/bin/busybox", "cat", "/y/secret"]`;

/** Two that were exploited on Debian's engine, each as root; `up` leads from its cache to the root of the host. */
const exploits = (home: string): readonly (readonly [cve: string, files: Files])[] => {
  const up = '../'.repeat(20);
  return [
    [
      'CVE-2024-1753',
      { Dockerfile: linked(`RUN --mount=type=bind,from=base,source=/link,target=/y ${show}\n`), link: { to: home } },
    ],
    [
      'CVE-2024-9675',
      {
        Dockerfile: `FROM scratch\nCOPY busybox /bin/busybox\nRUN --mount=type=cache,id=${up}${home.slice(1)},target=/y ${show}\n`,
      },
    ],
  ];
};

/** Flags that became mounts on Debian's engine although no text says `--mount=`: it reads variables and quotes once more. */
const disguised: readonly string[] = [
  '--$M=type=bind,from=base,source=/link',
  '--mo${N}unt=type=bind,from=base,source=/link',
  '--mo\\\\unt=type=bind,from=base,source=/link',
  `--m'""'ount=type=bind,from=base,source=/link`,
  '--mount=type=bind,f\\\\rom=base,source=/link',
  `--mount=type=bind,f'""'rom=base,source=/link`,
  `--mount=type=bind,'"from=base"',source=/link`,
];
const withDisguise = (flag: string): string => linked(`ARG M=mount N\nRUN ${flag},target=/y ${show}\n`);

describe('a known way out of the engine', () => {
  it('is refused before anything is built', async () => {
    for (const [cve, files] of exploits(directory)) expect(await failure(files)).toContain(cve);
  });

  it.each(disguised)('is refused in disguise: RUN %s', async (flag) => {
    const message = await failure({ Dockerfile: withDisguise(flag), link: { to: directory } });
    expect(message).toMatch(/^Dockerfile "Dockerfile" line 6: .*cannot be checked before the build/);
  });

  it.each([
    ['RUN --mount=type=bind,from=base,source=/,target=/y true', '--mount=type=bind,from=base'],
    ['COPY --from=dir:/etc / /', '"dir:/etc" names no image'],
  ])('is refused in what a base image adds by ONBUILD: %s', async (trigger, problem) => {
    const name = `triggers-${randomUUID()}`;
    await pushWithTriggers(name, ['LABEL a=b', trigger]);
    const message = await failure({ Dockerfile: `FROM ${team}/${name}:v1\n` }, { registryPrefixes: [team] });
    expect(message).toContain(`What base image "${team}/${name}:v1" adds by ONBUILD, line 2: ${problem}`);
  });

  it('is refused by a link in the context', async () => {
    const Dockerfile = `${shell}RUN --mount=type=bind,source=link,target=/y cat /y/secret\n`;
    expect(await failure({ Dockerfile, link: { to: directory } })).toBe(
      'Source of the mount in line 4, "link" leaves the repository by a symbolic link',
    );
  });

  it('shows nothing of the host even where it is not refused: the cage has neither its files nor its rights', async () => {
    const traits = await probeBuildah(room.cage, path.join(room.dataDir, 'probe'));
    const all = [
      ...exploits(directory),
      ...disguised.map((flag) => [flag, { Dockerfile: withDisguise(flag), link: { to: directory } }] as const),
    ];
    for (const [index, [cve, files]] of all.entries()) {
      const checkout = path.join(room.dataDir, 'work', `exploit-${index}`);
      await writeCheckout(checkout, files);
      const place = await BuildahPlace.open(room.cage, traits, {
        storageDir: path.join(room.dataDir, 'engine', `exploit-${index}`),
        scratchDir: path.join(room.dataDir, 'scratch', `exploit-${index}`),
        readOnly: { checkout },
      });
      const said: string[] = [];
      const { exitCode } = await place.buildah(
        'own',
        ['build', '--pull=never', '--network', 'host', ...traits.isolation, place.inside(checkout)],
        { onLine: ({ text }) => void said.push(text) },
      );
      await place.close();
      expect([cve, exitCode === 0, said.join('\n').includes(canary)]).toEqual([cve, false, false]);
      expect(said.join('\n')).toMatch(/secret|denied|no such file/i);
    }
    expect(await readFile(secret, 'utf8')).toBe(canary);
  });
});

describe('mounts that are in order', () => {
  it('work: a cache that the next build finds again, files of the context, and memory', async () => {
    const step = (name: string): string =>
      `RUN --mount=type=cache,target=/c --mount=type=bind,source=lib,target=/l --mount=type=tmpfs,target=/t ` +
      `echo ${name}: $(ls /c) $(cat /l/file) $(touch /t/x && echo fits) && touch /c/${name}\n`;
    const projectId = randomUUID();
    const files = (name: string): Files => ({ Dockerfile: `${shell}${step(name)}`, 'lib/file': 'of the context' });
    const messages = [];
    for (const name of ['first', 'second']) {
      const { output } = await room.build(files(name), { projectId });
      messages.push(...output.messages().filter((message) => message.startsWith(`${name}:`)));
    }
    expect(messages).toEqual(['first: of the context fits', 'second: first of the context fits']);
  });
});
