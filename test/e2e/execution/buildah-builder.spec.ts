import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { BuildFailure } from '../../../src/execution/image-builder';
import { EngineRoom, shell } from '../../support/engine/engine-room';

let room: EngineRoom;
beforeAll(async () => {
  room = await EngineRoom.open();
  await room.builder.check();
});
afterAll(() => room.close());

describe('a Dockerfile that builds', () => {
  it('becomes an archive that skopeo reads with the same digest', async () => {
    const archivePath = path.join(room.dataDir, 'artifacts', 'image.tar');
    const { image, output } = await room.build(
      { Dockerfile: `${shell}RUN echo out; echo err >&2\nENV GREETING=hello\n` },
      { archivePath },
    );
    const inspected = execFileSync('skopeo', ['inspect', `oci-archive:${archivePath}`], { encoding: 'utf8' });
    expect(JSON.parse(inspected)).toMatchObject({ Digest: image.digest });
    expect(image.reference).toBeNull();
    expect((await stat(archivePath)).uid).toBe(process.getuid?.());
    expect(output.lines).toContainEqual({ level: 'INFO', message: 'out', step: 'build 4/5' });
    expect(output.lines).toContainEqual({ level: 'INFO', message: 'err', step: 'build 4/5' });
    expect(output.messages('publish')).toContain(`Image digest ${image.digest}`);
  });

  it('reports rising progress that ends at the total: every Dockerfile step and the publishing', async () => {
    const { output } = await room.build({ Dockerfile: `${shell}RUN true\n` });
    expect(output.total).toBe(5);
    expect(output.done).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('gets the build arguments as they are, also those that a shell would read', async () => {
    const odd = `two words "quoted" $HOME $(id) 'x' ; echo no`;
    const { output } = await room.build(
      { Dockerfile: `${shell}ARG WHO\nARG OTHER=default\nRUN printf '<%s|%s>\\n' "$WHO" "$OTHER"\n` },
      { buildArgs: { WHO: odd } },
    );
    expect(output.messages()).toContain(`<${odd}|default>`);
  });

  it('runs the stages that the last one needs, and counts only those', async () => {
    const stages = `FROM scratch AS one\nCOPY busybox /b\nFROM scratch AS unneeded\nCOPY busybox /c\nFROM scratch\nCOPY --from=one /b /d\n`;
    const { output } = await room.build({ Dockerfile: stages });
    expect(output.total).toBe(5);
    expect(output.done.at(-1)).toBe(5);
    expect(output.lines.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['build 1/4', 'build 2/4', 'build 3/4', 'build 4/4', 'publish']),
    );
  });

  it('builds a Dockerfile and a context in subdirectories', async () => {
    const files = { 'a/b/Dockerfile': 'FROM scratch\nCOPY only.txt /\n', 'ctx/only.txt': 'x' };
    const { image } = await room.build(files, { dockerfilePath: 'a/b/Dockerfile', contextPath: 'ctx' });
    expect(image.digest).toMatch(/^sha256:/);
  });

  it('takes unchanged steps from the cache of its project, and of no other', async () => {
    const files = { Dockerfile: `${shell}RUN echo made-by-running; cat /proc/sys/kernel/random/uuid > /id\n` };
    const first = await room.build(files, { projectId: 'cached' });
    const second = await room.build(files, { projectId: 'cached' });
    const other = await room.build(files, { projectId: 'uncached' });
    expect(first.output.messages()).toContain('made-by-running');
    expect(second.output.messages()).not.toContain('made-by-running');
    expect(second.image.digest).toBe(first.image.digest);
    expect(second.output.done).toEqual([0, 1, 2, 3, 4, 5]);
    expect(other.output.messages()).toContain('made-by-running');
  });

  it('runs two builds of one project at once', async () => {
    const dockerfile = (name: string) => `${shell}RUN echo start; sleep 1; echo ${name} > /name; cat /name\n`;
    const both = await Promise.all(
      ['a', 'b'].map((name) => room.build({ Dockerfile: dockerfile(name) }, { projectId: 'twice' })),
    );
    expect(both.map(({ output }) => output.messages('build 4/4').at(-2))).toEqual(['a', 'b']);
  });

  it('keeps a line without an end apart from the next step', async () => {
    const { output } = await room.build({ Dockerfile: `${shell}RUN printf unfinished\nRUN printf end\n` });
    expect(output.messages('build 4/5')).toContain('unfinished');
    expect(output.messages('build 5/5')).toContain('STEP 5/5: RUN printf end');
  });

  it('leaves nothing in its scratch directory, and no interface of its network', async () => {
    await room.build({ Dockerfile: 'FROM scratch\nCOPY busybox /\n' });
    expect(await readdir(path.join(room.dataDir, 'scratch'))).toEqual([]);
  });
});

describe('RUN', () => {
  it('sees neither the data directory nor the processes of the host', async () => {
    const { output } = await room.build({
      Dockerfile: `${shell}RUN ls ${room.dataDir} 2>&1; echo pids $(ls /proc | grep -c '^[0-9]')\n`,
    });
    expect(output.messages()).toContain(`ls: ${room.dataDir}: No such file or directory`);
    const [pids] = output.messages().filter((message) => message.startsWith('pids '));
    expect(Number(pids?.slice(5))).toBeLessThan(20);
  });

  it('does not reach what listens on the loopback of the host', async () => {
    const { output } = await room.build({
      Dockerfile: `${shell}RUN cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ' || true\n`,
    });
    expect(output.messages('build 4/4')).toContain('0');
  });
});

describe('a build that cannot succeed', () => {
  const failure = async (files: Record<string, string | { to: string }>, wishes = {}): Promise<string> => {
    const error: unknown = await room.build(files, wishes).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BuildFailure);
    return error instanceof Error ? error.message : '';
  };

  it.each([
    ['the exit code of a RUN', `${shell}RUN exit 42\n`, 'Step 4/4 "RUN exit 42" failed with exit code 42'],
    [
      'a command that is not there',
      'FROM scratch\nRUN ["/nothing"]\n',
      /^Step 2\/2 "RUN \["\/nothing"\]" failed: exec: "\/nothing": .*no such file/,
    ],
    [
      'a missing source',
      'FROM scratch\nCOPY absent /\n',
      'Step 2/2 "COPY absent /" failed: "/absent": no such file or directory',
    ],
    [
      'an unknown instruction',
      'FROM scratch\nCOPYX a b\n',
      'Dockerfile "Dockerfile": line 2: unknown instruction "COPYX".',
    ],
    ['no FROM', '# nothing\n', 'Dockerfile "Dockerfile": it has no FROM.'],
    [
      'a reference to the files of the host',
      'FROM oci-archive:/etc/passwd\n',
      'Dockerfile "Dockerfile": line 1: "oci-archive:/etc/passwd" names no image.',
    ],
    [
      'a registry that builds may not reach',
      'FROM 127.0.0.1:1/x\n',
      /^base image "127\.0\.0\.1:1\/x": 127\.0\.0\.1 has a private address, .* BUILD_EGRESS_ALLOW=127\.0\.0\.1:1$/,
    ],
  ])('tells %s', async (_, dockerfile, message) => {
    const told = await failure({ Dockerfile: dockerfile });
    if (typeof message === 'string') expect(told).toBe(message);
    else expect(told).toMatch(message);
  });

  it('tells a missing Dockerfile and a missing context', async () => {
    expect(await failure({})).toBe('Dockerfile "Dockerfile" does not exist in the repository');
    expect(await failure({ Dockerfile: 'FROM scratch\n' }, { contextPath: 'no' })).toBe(
      'Context "no" does not exist in the repository',
    );
  });

  it('does not follow a Dockerfile out of the checkout', async () => {
    expect(await failure({ Dockerfile: { to: '/etc/passwd' } })).toBe(
      'Dockerfile "Dockerfile" leaves the repository by a symbolic link',
    );
    expect(await failure({}, { dockerfilePath: '../Dockerfile' })).toBe(
      'Dockerfile "../Dockerfile" leaves the repository',
    );
    expect(await failure({ Dockerfile: 'FROM scratch\n', out: { to: '/etc' } }, { contextPath: 'out' })).toBe(
      'Context "out" leaves the repository by a symbolic link',
    );
  });

  it('leaves no working container behind', async () => {
    const projectId = randomUUID();
    await failure({ Dockerfile: `${shell}RUN false\n` }, { projectId });
    const file = path.join(room.dataDir, 'engine', projectId, 'overlay-containers', 'containers.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual([]);
  });
});
