import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { BuildFailure } from '../../src/execution/image-builder';
import { EngineRoom, shell, type BuildWishes, type Files } from '../support/engine/engine-room';

// A repository that leads to files of the host. The canary can be read by its owner alone.

const canary = randomUUID();
let directory: string;
let secret: string;
let archive: string;
let room: EngineRoom;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-canary-'));
  secret = path.join(directory, 'secret');
  await writeFile(secret, `${canary}\n`, { mode: 0o600 });
  room = await EngineRoom.open();
  archive = path.join(directory, 'other.tar');
  // Of another project; its name in that project's storage is known as well.
  await room.build(
    { Dockerfile: `${shell}RUN echo ${canary} > /secret\n` },
    { projectId: 'other', archivePath: archive },
  );
});

afterAll(async () => {
  await room.close();
  await rm(directory, { recursive: true });
});

/** What was said by a build that had to fail, soon. */
async function failure(files: Files, wishes: BuildWishes = {}): Promise<string> {
  const begun = performance.now();
  const { built, output } = await room.begin(files, { projectId: 'own', ...wishes });
  const error: unknown = await built.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BuildFailure);
  const message = error instanceof Error ? error.message : '';
  expect([message, ...output.messages()].join('\n')).not.toContain(canary);
  expect(performance.now() - begun).toBeLessThan(30_000);
  return message;
}

describe('a base image', () => {
  it.each(['oci-archive:', 'docker-archive:', 'dir:', 'oci:', 'sif:', 'ostree:', 'tarball:'])(
    'is no file of the host: %s',
    async (transport) => {
      const place = `${transport}${archive}`;
      for (const Dockerfile of [`FROM ${place}\n`, `${shell}COPY --from=${place} /secret /x\nRUN cat /x\n`]) {
        expect(await failure({ Dockerfile })).toMatch(/^Dockerfile "Dockerfile": line \d: .* names no image\.$/);
      }
    },
  );

  it.each(['containers-storage:localhost/x', 'docker-daemon:x:latest'])('is in no other store: %s', async (place) => {
    expect(await failure({ Dockerfile: `FROM ${place}\n` })).toContain('names no image');
    expect(await failure({ Dockerfile: `FROM scratch\nCOPY --from=${place} / /\n` })).toContain('names no image');
  });

  it('is none that another project has built, by its name or its id', async () => {
    const storage = path.join(room.dataDir, 'engine', 'other', 'overlay-images', 'images.json');
    const [{ id }] = JSON.parse(await readFile(storage, 'utf8')) as [{ readonly id: string }];
    for (const name of [`localhost/${id.slice(0, 12)}`, 'localhost/other']) {
      await failure({ Dockerfile: `FROM ${name}\nRUN cat /secret\n` });
      await failure({ Dockerfile: `${shell}COPY --from=${name} /secret /x\nRUN cat /x\n` });
    }
  });
});

describe('a path of a repository', () => {
  const plain = 'FROM scratch\nCOPY busybox /\n';

  it('leads to no file of the host from COPY and ADD: not by .., not by links', async () => {
    for (const word of ['COPY', 'ADD']) {
      await failure({ Dockerfile: `${shell}${word} ../../../../../..${secret} /x\nRUN cat /x\n` });
      await failure({ Dockerfile: `${shell}${word} link /x\nRUN cat /x\n`, link: { to: secret } });
      await failure({ Dockerfile: `${shell}${word} out/secret /x\nRUN cat /x\n`, out: { to: directory } });
      await failure({ Dockerfile: `${shell}${word} up /x\nRUN cat /x\n`, up: { to: `../../../../../..${secret}` } });
    }
    const all = `${shell}COPY . /all\nRUN cat /all/link /all/out/secret\n`;
    await failure({ Dockerfile: all, link: { to: secret }, out: { to: directory } });
  });

  it.each(['/dev/zero', '/dev/stdin', '/proc/self/environ', '.', 'pipe'])(
    'is no Dockerfile and no ignore file when it is a link to %s',
    async (to) => {
      const target = to === 'pipe' ? path.join(directory, 'pipe') : to;
      if (to === 'pipe') execFileSync('mkfifo', [target]);
      const said = /leaves the repository by a symbolic link$|is not a file$|does not exist in the repository$/;
      expect(await failure({ Dockerfile: { to: target } })).toMatch(said);
      for (const name of ['.dockerignore', '.containerignore', 'Dockerfile.dockerignore']) {
        expect(await failure({ Dockerfile: plain, [name]: { to: target } })).toMatch(said);
      }
    },
  );

  it('is no ignore file of another directory: it would tell what stands in files of the host', async () => {
    for (const name of ['.dockerignore', '.containerignore']) {
      expect(await failure({ Dockerfile: plain, [`ctx/${name}`]: { to: secret } }, { contextPath: 'ctx' })).toBe(
        `Ignore file "ctx/${name}" leaves the repository by a symbolic link`,
      );
    }
  });

  it('may be a link within the repository', async () => {
    const files = {
      'a/Dockerfile': plain,
      Dockerfile: { to: 'a/Dockerfile' },
      '.dockerignore': { to: 'rules' },
      rules: 'a\n',
    };
    await room.build(files, { projectId: 'own' });
  });

  it('is refused at once when it has a gigabyte', async () => {
    for (const [name, message] of [
      ['Dockerfile', 'Dockerfile "Dockerfile" exceeds 256 KiB'],
      ['.dockerignore', 'Ignore file ".dockerignore" exceeds 256 KiB'],
    ] as const) {
      const { job, output, signal } = await room.prepare({ Dockerfile: plain, [name]: plain }, { projectId: 'own' });
      await truncate(path.join(job.checkoutDir, name), 1024 ** 3);
      await expect(room.builder.build(job, output, signal)).rejects.toThrow(new BuildFailure(message));
    }
  });

  it('of the project leads nowhere else', async () => {
    const files = { Dockerfile: plain, 'd/e': { to: directory } };
    expect(await failure(files, { dockerfilePath: 'd/e/secret' })).toContain(
      'leaves the repository by a symbolic link',
    );
    expect(await failure(files, { dockerfilePath: 'd' })).toBe('Dockerfile "d" is not a file');
    expect(await failure(files, { contextPath: 'd/e' })).toBe('Context "d/e" leaves the repository by a symbolic link');
    expect(await failure(files, { contextPath: '../..' })).toBe('Context "../.." leaves the repository');
  });
});

it('the canary was there all the time', async () => {
  await symlink(secret, path.join(directory, 'link'));
  expect(await readFile(path.join(directory, 'link'), 'utf8')).toBe(`${canary}\n`);
  expect((await stat(secret)).mode & 0o777).toBe(0o600);
});

describe('the name of a Dockerfile', () => {
  it('makes the engine run no preprocessor over it, which would take in files of the host', async () => {
    const include = `#include "/etc/hostname"\n`;
    const text = `${shell}${include}RUN echo line __LINE__\n`;
    const { output } = await room.build(
      { 'Dockerfile.in': text },
      { projectId: 'own', dockerfilePath: 'Dockerfile.in' },
    );
    expect(output.messages()).toContain('line __LINE__');
  });

  it.each(['a,b/Dockerfile', 'a b', '"a"', "it's", '-f', 'a\\b'])(
    'is no more than a name: %j',
    async (dockerfilePath) => {
      const files = {
        [dockerfilePath]: `${shell}RUN echo looked at\n`,
        a: `${shell}RUN echo another\n`,
        'b/Dockerfile': `${shell}RUN echo another\n`,
      };
      const { output } = await room.build(files, { projectId: 'own', dockerfilePath });
      expect(output.messages()).toContain('STEP 4/4: RUN echo looked at');
      expect(output.messages()).not.toContain('STEP 4/4: RUN echo another');
    },
  );
});
