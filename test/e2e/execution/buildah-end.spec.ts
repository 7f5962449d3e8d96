import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineRoom, shell } from '../../support/engine/engine-room';
import { processesWith } from '../../support/engine/processes';
import { WorkerProcess } from '../../support/engine/worker-process';
import { makeOtherUser } from '../../support/other-user';
import { waitUntil } from '../../support/wait-until';

const asRoot = process.geteuid?.() === 0 ? it : it.skip;

let room: EngineRoom;
beforeAll(async () => {
  room = await EngineRoom.open();
  await room.builder.check();
});
afterAll(() => room.close());

const containersDir = (dataDir: string, projectId = 'project'): string =>
  path.join(dataDir, 'engine', projectId, 'overlay-containers');

/** The working containers that a project's storage knows. */
const containersOf = (dataDir: string, projectId?: string): { readonly id: string }[] =>
  JSON.parse(readFileSync(path.join(containersDir(dataDir, projectId), 'containers.json'), 'utf8')) as { id: string }[];

/** A RUN that does not end by itself; its processes can be found by the mark. */
const endless = (mark: string, trap = '') => `${shell}RUN ${trap} echo u''p; while true; do sleep 1; done; : ${mark}\n`;

describe('an abort', () => {
  it('ends a build at once whose RUN obeys TERM, and rejects with the reason', async () => {
    const mark = randomUUID();
    const stop = new AbortController();
    const { built, output } = await room.begin({ Dockerfile: endless(mark) }, { signal: stop.signal });
    await output.next('up');
    expect(processesWith(mark)).not.toEqual([]);
    stop.abort(new Error('cancelled by a person'));
    await expect(built).rejects.toThrow('cancelled by a person');
    expect(processesWith(mark)).toEqual([]);
    expect(processesWith(room.dataDir)).toEqual([]);
  });

  it('ends a build whose RUN ignores TERM within its ten seconds, and leaves no process', async () => {
    const mark = randomUUID();
    const stop = new AbortController();
    const { built, output } = await room.begin({ Dockerfile: endless(mark, "trap '' TERM;") }, { signal: stop.signal });
    await output.next('up');
    const began = performance.now();
    stop.abort(new Error('enough'));
    await expect(built).rejects.toThrow('enough');
    expect(performance.now() - began).toBeLessThan(13_000);
    expect(processesWith(mark)).toEqual([]);
    expect(processesWith(room.dataDir)).toEqual([]);
  });

  it('leaves a storage that the next build can use, without containers of the dead one', async () => {
    await room.build({ Dockerfile: `${shell}RUN true\n` });
    expect(containersOf(room.dataDir)).toEqual([]);
    expect(await readdir(path.join(room.dataDir, 'scratch'))).toEqual([]);
  });
});

describe('a kill -9 of the worker', () => {
  it('leaves no process alive, and the next worker sweeps up what is on the disk', async () => {
    const mark = randomUUID();
    const home = path.join(room.home, 'killed');
    await mkdir(home);
    const task = { home, files: { Dockerfile: endless(mark, "trap '' TERM;") }, wishes: {} };
    const worker = WorkerProcess.start(task);
    await waitUntil(() => worker.text.includes(': up'));
    expect(processesWith(mark)).not.toEqual([]);
    await worker.kill();
    await waitUntil(() => processesWith(mark).length === 0 && processesWith(home).length === 0, 3_000);
    const scratch = path.join(home, 'data', 'scratch');
    expect(containersOf(path.join(home, 'data'))).not.toEqual([]);
    expect(await readdir(scratch)).toHaveLength(1);

    const lines = await WorkerProcess.start({ ...task, files: { Dockerfile: `${shell}RUN echo alive\n` } }).lines();
    expect(lines).toContain('build 4/4: alive');
    expect(lines.at(-1)).toMatch(/^result: \{"digest":"sha256:/);
    expect(await readdir(scratch)).toEqual([]);
    expect(containersOf(path.join(home, 'data'))).toEqual([]);
  });
});

describe('a sweep', () => {
  it('removes the containers of killed builds whose project is not built again, and none of a build at work', async () => {
    const [left, early, busy] = [randomUUID(), randomUUID(), randomUUID()];
    const home = path.join(room.home, 'left');
    await mkdir(home);
    const dataDir = path.join(home, 'data');
    const task = { home, files: { Dockerfile: endless(randomUUID(), "trap '' TERM;") } };
    const begin = (projectId: string): WorkerProcess => WorkerProcess.start({ ...task, wishes: { projectId } });
    const [doomed, other] = [[left, early].map(begin), begin(busy)];
    await waitUntil(() => [...doomed, other].every(({ text }) => text.includes(': up')));
    for (const worker of doomed) await worker.kill();
    await waitUntil(() => [left, early].every((id) => processesWith(`/engine/${id}`).length === 0));
    expect(containersOf(dataDir, left)).not.toEqual([]);
    // What a kill leaves between the storage's note of a container and the engine's own.
    for (const { id } of containersOf(dataDir, early)) {
      await rm(path.join(containersDir(dataDir, early), id), { recursive: true });
    }
    await (await EngineRoom.openAt(home)).builder.sweep();
    expect(containersOf(dataDir, left)).toEqual([]);
    expect(containersOf(dataDir, early)).toEqual([]);
    expect(containersOf(dataDir, busy)).not.toEqual([]);
    await other.kill();
  });
});

describe('setting aside', () => {
  it('takes the layers of a project away, and nothing of another', async () => {
    const [old, other] = [randomUUID(), randomUUID()];
    for (const projectId of [old, other]) await room.build({ Dockerfile: shell }, { projectId });
    const begunAt = Date.now();
    await room.build({ Dockerfile: shell }, { projectId: old });
    const kept = await room.builder.keptProjects();
    expect(kept.map(({ id }) => id)).toEqual([other, old]);
    expect(kept[1]?.lastBuiltAt.getTime()).toBeGreaterThanOrEqual(begunAt);
    await room.builder.setAside(old);
    await room.builder.setAside(randomUUID());
    expect((await room.builder.keptProjects()).map(({ id }) => id)).toEqual([other]);
    await room.builder.sweep();
    expect(await readdir(path.join(room.dataDir, 'engine', '.gone'))).toEqual([]);
    await room.build({ Dockerfile: shell }, { projectId: old });
  });

  it('is finished by the next sweep when the removal was interrupted, which spares what is in use', async () => {
    const gone = path.join(room.dataDir, 'engine', '.gone', 'x.999999999-1-1.x');
    await mkdir(gone, { recursive: true });
    await writeFile(path.join(gone, 'layer'), 'x');
    await utimes(gone, 0, 0);
    const stop = new AbortController();
    const { built, output } = await room.begin({ Dockerfile: endless(randomUUID()) }, { signal: stop.signal });
    await output.next('up');
    await room.builder.sweep();
    expect(await readdir(path.dirname(gone))).toEqual([]);
    expect(await readdir(path.join(room.dataDir, 'scratch'))).toHaveLength(1);
    stop.abort(new Error('seen'));
    await expect(built).rejects.toThrow('seen');
  });
});

describe('an ordinary user', () => {
  asRoot('builds, loses nothing to a kill -9, and cleans up ids that are not his own', async () => {
    const user = makeOtherUser();
    const { home } = user;
    try {
      const mark = randomUUID();
      const killed = WorkerProcess.start(
        { home, files: { Dockerfile: endless(mark, "trap '' TERM;") }, wishes: {} },
        user,
      );
      await waitUntil(() => killed.text.includes(': up'));
      await killed.kill();
      await waitUntil(() => processesWith(mark).length === 0 && processesWith(home).length === 0, 3_000);

      const dockerfile = `${shell}RUN echo x > /file && chown 1234:1234 /file && ls -ln /file; ls ${home} 2>&1 || true\n`;
      const lines = await WorkerProcess.start({ home, files: { Dockerfile: dockerfile }, wishes: {} }, user).lines();
      expect(lines).toContainEqual(expect.stringMatching(/^build 4\/4: .* 1234 +1234 .*\/file$/));
      expect(lines).toContain(`build 4/4: ls: ${home}: No such file or directory`);
      expect(lines.at(-1)).toMatch(/^result: \{"digest":"sha256:/);
      expect(await readdir(path.join(home, 'data', 'scratch'))).toEqual([]);
    } finally {
      user.remove();
    }
  });
});
