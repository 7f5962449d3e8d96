import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cage } from '../../src/execution/cage/cage';
import { keepArchive } from '../../src/execution/buildah/image-archive';
import { buildUser, EngineRoom, shell } from '../support/engine/engine-room';

// What a build can leave behind for the service, which may be root, once it has broken out of its engine.

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-engine-files-'));
});
afterAll(() => rm(directory, { recursive: true }));

describe('an archive', () => {
  /** A directory on another file system than the artifacts, as a scratch directory may be. */
  const elsewhere = (): Promise<string> => mkdtemp('/dev/shm/image-factory-');
  const kept = (): string => path.join(directory, 'artifacts', 'image.tar');

  it('comes from another file system as well', async () => {
    const scratch = await elsewhere();
    try {
      expect((await stat(scratch)).dev).not.toBe((await stat(directory)).dev);
      await writeFile(path.join(scratch, 'image.tar'), 'archive');
      await keepArchive(path.join(scratch, 'image.tar'), kept());
      expect(await readFile(kept(), 'utf8')).toBe('archive');
    } finally {
      await rm(scratch, { recursive: true });
    }
  });

  it.each(['here', 'elsewhere'])('is no link to a file that only the service can read (%s)', async (place) => {
    const scratch = place === 'here' ? await mkdtemp(path.join(directory, 'scratch-')) : await elsewhere();
    try {
      await writeFile(path.join(scratch, 'secret'), 'secret', { mode: 0o600 });
      await symlink(path.join(scratch, 'secret'), path.join(scratch, 'image.tar'));
      await rm(kept(), { force: true });
      await expect(keepArchive(path.join(scratch, 'image.tar'), kept())).rejects.toThrow('ELOOP');
      expect(await readdir(path.dirname(kept()))).toEqual([]);
    } finally {
      await rm(scratch, { recursive: true });
    }
  });

  it('is no pipe, at which the service would wait for ever', async () => {
    const pipe = path.join(directory, 'image.tar');
    execFileSync('mkfifo', [pipe]);
    await expect(keepArchive(pipe, kept())).rejects.toThrow('no plain file');
  });
});

describe('a removal', () => {
  /** renameat2(2) with RENAME_EXCHANGE, over and over. */
  const exchange = `syscall(${process.arch === 'arm64' ? 276 : 316}, -100, $ARGV[0], -100, $ARGV[1], 2) while 1`;

  it('is not led elsewhere by a link that takes a directory’s place meanwhile', async () => {
    const cage = new Cage({ buildUser, dataDir: directory });
    const bystander = path.join(directory, 'bystander');
    await mkdir(bystander);
    for (let file = 0; file < 20; file += 1) await writeFile(path.join(bystander, String(file)), 'x');
    for (let round = 0; round < 8; round += 1) {
      const gone = path.join(directory, `gone-${round}`);
      const [inner, link] = [path.join(gone, 'inner'), path.join(gone, 'link')];
      await mkdir(inner, { recursive: true });
      await Promise.all(Array.from({ length: 500 }, (_, file) => writeFile(path.join(inner, String(file)), 'x')));
      await symlink(bystander, link);
      const build = spawn('perl', ['-e', exchange, inner, link]);
      const ended = once(build, 'exit');
      await sleep(20);
      // What the build renames back and forth may be missed in one go.
      await cage.removeDir(gone).catch(() => undefined);
      build.kill('SIGKILL');
      await ended;
      expect(await readdir(bystander)).toHaveLength(20);
      await cage.removeDir(gone);
      expect(existsSync(gone)).toBe(false);
    }
  });
});

describe('a build', () => {
  let room: EngineRoom;
  beforeAll(async () => {
    room = await EngineRoom.open();
    await room.builder.check();
  });
  afterAll(() => room.close());

  it('finds scratch files that it cannot replace', async () => {
    if (process.geteuid?.() !== 0) return;
    const { built, output } = await room.begin({ Dockerfile: `${shell}RUN echo up; sleep 1\n` });
    await output.next('up');
    const [scratch = ''] = await readdir(path.join(room.dataDir, 'scratch'));
    const { uid, mode } = await stat(path.join(room.dataDir, 'scratch', scratch));
    expect({ uid, othersMayWrite: mode & (constants.S_IWGRP | constants.S_IWOTH) }).toEqual({
      uid: 0,
      othersMayWrite: 0,
    });
    await built;
  });

  it('can be ended though an earlier one left a pipe where the service looks for working containers', async () => {
    const containers = path.join(room.dataDir, 'engine', 'piped', 'overlay-containers');
    for (const each of [path.dirname(containers), containers]) await room.cage.makeDir(each);
    execFileSync('mkfifo', [path.join(containers, 'containers.json')]);
    const stop = new AbortController();
    const timer = setTimeout(() => {
      stop.abort(new Error('cancelled'));
    }, 1_000);
    const wishes = { projectId: 'piped', signal: stop.signal };
    await expect(room.build({ Dockerfile: 'FROM scratch\nENV a=b\n' }, wishes)).rejects.toThrow('cancelled');
    clearTimeout(timer);
    expect(await readdir(path.join(room.dataDir, 'scratch'))).toEqual([]);
  });

  it('leads nowhere by a link where its caches are', async () => {
    const wishes = { projectId: 'linked' };
    await room.build({ Dockerfile: 'FROM scratch\nENV a=b\n' }, wishes);
    const caches = path.join(room.dataDir, 'engine', 'linked', 'caches');
    await rm(caches, { recursive: true });
    const elsewhere = await mkdtemp(path.join(directory, 'elsewhere-'));
    await symlink(elsewhere, caches);
    await room.build({ Dockerfile: 'FROM scratch\nENV a=c\n' }, wishes).catch(() => undefined);
    expect(await readdir(elsewhere)).toEqual([]);
  });

  it('works under a service that shows its files to nobody', async () => {
    const { job, output, signal } = await room.prepare({ Dockerfile: 'FROM scratch\nENV a=b\n' }, { projectId: 'new' });
    const umask = process.umask(0o077);
    try {
      expect((await room.builder.build(job, output, signal)).digest).toMatch(/^sha256:/);
    } finally {
      process.umask(umask);
    }
  });
});
