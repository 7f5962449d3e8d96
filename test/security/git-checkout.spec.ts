import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GitCommand } from '../../src/execution/git/git-command';
import { BuildFailure } from '../../src/execution/image-builder';
import { runProcess } from '../../src/execution/process/run-process';
import { GitCheckoutBench } from '../e2e/execution/git-checkout-bench';
import { GitHttpServer } from '../support/git-http-server';
import { GitRepository } from '../support/git-repository';

const usualPath = process.env.PATH ?? '/usr/bin:/bin';
let place: string;
let marker: string;
let repository: GitRepository;
let bench: GitCheckoutBench;

beforeEach(() => {
  place = mkdtempSync(path.join(tmpdir(), 'git-attack-'));
  marker = path.join(place, 'marker');
  repository = new GitRepository();
  bench = new GitCheckoutBench();
});

afterEach(() => {
  for (const directory of [place, repository.root, bench.base]) rmSync(directory, { recursive: true, force: true });
});

/** An executable that leaves the marker. */
function makeTrap(file: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\ntouch '${marker}'\ncat\n`);
  chmodSync(file, 0o755);
  return file;
}

/** Nothing ran, and nothing was written beside the checkout. */
function expectNoHarm(): void {
  expect(existsSync(marker)).toBe(false);
  expect(readdirSync(bench.base)).toEqual(['checkout']);
}

describe('a repository, branch or commit that wants to run something', () => {
  it.each(['--upload-pack=', '-u', '--exec=', '--receive-pack='])('is refused as a branch: %s', async (option) => {
    await expect(bench.checkout(repository.url, { branch: `${option}touch${marker}` })).rejects.toThrow(BuildFailure);
    expect(bench.commands).toEqual([]);
  });

  it.each([
    'ext::touch% ',
    'ext::sh% -c% touch% ',
    'fd::',
    '--upload-pack=touch ',
    '-',
    'file:',
    'ssh://-oProxyCommand=touch% ',
  ])('is refused as a URL: %s', async (start) => {
    await expect(bench.checkout(`${start}${marker}`, {})).rejects.toThrow('is refused: it must');
    expect(bench.commands).toEqual([]);
    expectNoHarm();
  });

  it('is refused when it lies outside of the allowed directory, or its protocol is not allowed', async () => {
    repository.commit({ a: '1' });
    const elsewhere = new GitCheckoutBench(runProcess, { allowedFileRoot: place, allowedProtocols: ['https'] });
    try {
      await expect(elsewhere.checkout(repository.url, {})).rejects.toThrow('outside of the directory');
      await expect(elsewhere.checkout(`file://${place}/../${path.basename(repository.root)}/x`, {})).rejects.toThrow(
        'outside of the directory',
      );
      await expect(elsewhere.checkout('http://127.0.0.1:1/a', {})).rejects.toThrow('protocol "http"');
      expect(elsewhere.commands).toEqual([]);
    } finally {
      elsewhere.remove();
    }
  });

  it.each(['ext::touch MARKER', 'file://REPOSITORY'])(
    'is refused by git itself, if it came so far: %s',
    async (pattern) => {
      repository.commit({ a: '1' });
      const url = pattern.replace('MARKER', marker).replace('REPOSITORY', repository.directory);
      const output = { line: () => undefined, stepsTotal: () => undefined, stepsDone: () => undefined };
      const remote = { url, credential: null, shownUrl: url, protocol: 'https', path: null, server: null };
      const signal = new AbortController().signal;
      const launch: typeof runProcess = (command, options) =>
        runProcess(command, { ...options, env: { PATH: usualPath, ...options.env } });
      const git = new GitCommand(launch, bench.dir, remote, output, signal);
      const { succeeded, messages } = await git.run(['ls-remote', '--', url], bench.dir, () => undefined);
      expect({ succeeded, text: messages.join(' ') }).toEqual({
        succeeded: false,
        text: expect.stringMatching(/transport '(ext|file)' not allowed/) as string,
      });
      expectNoHarm();
    },
  );

  it("runs no hook, not one of the user's templates either", async () => {
    repository.commit({ a: '1', 'hooks/post-checkout': { executable: `#!/bin/sh\ntouch '${marker}'\n` } });
    makeTrap(path.join(place, 'templates', 'hooks', 'post-checkout'));
    makeTrap(path.join(place, 'templates', 'hooks', 'reference-transaction'));
    bench.remove();
    bench = new GitCheckoutBench(runProcess, {}, { GIT_TEMPLATE_DIR: path.join(place, 'templates') });
    await bench.checkout(repository.url, {});
    expect(bench.files()).toEqual(['a', 'hooks']);
    expectNoHarm();
  });

  it('runs no filter, not the one of LFS either, and keeps the pointer file', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12\n`;
    repository.commit({ '.gitattributes': '*.bin filter=lfs\n', 'a.bin': pointer });
    const trap = makeTrap(path.join(place, 'bin', 'git-lfs'));
    const home = path.join(place, 'home');
    mkdirSync(home);
    const config = `[filter "lfs"]\n\tsmudge = ${trap}\n\tprocess = ${trap}\n\trequired = true\n`;
    writeFileSync(path.join(home, '.gitconfig'), config);
    bench.remove();
    const env = {
      HOME: home,
      GIT_CONFIG_GLOBAL: path.join(home, '.gitconfig'),
      PATH: `${path.dirname(trap)}:${usualPath}`,
    };
    bench = new GitCheckoutBench(runProcess, {}, env);
    await bench.checkout(repository.url, {});
    expect(readFileSync(path.join(bench.dir, 'a.bin'), 'utf8')).toBe(pointer);
    expectNoHarm();
  });
});

describe('a repository with submodules', () => {
  let submodule: GitRepository;
  let server: GitHttpServer;
  let hook: string;

  beforeEach(async () => {
    submodule = new GitRepository('submodule.git');
    hook = submodule.commit({ 'y/hooks/post-checkout': { executable: `#!/bin/sh\ntouch '${marker}'\n` } });
    server = await GitHttpServer.start(submodule);
  });

  afterEach(async () => {
    await server.stop();
    submodule.remove();
  });

  function gitmodules(submodulePath: string): string {
    return `[submodule "x"]\n\tpath = ${submodulePath}\n\turl = ${server.url}\n`;
  }

  it('gets an empty directory for each', async () => {
    repository.commit({ '.gitmodules': gitmodules('vendor'), vendor: { submodule: hook }, a: '1' });
    await bench.checkout(repository.url, {});
    expect(bench.files()).toEqual(['.gitmodules', 'a', 'vendor']);
    expect(readdirSync(path.join(bench.dir, 'vendor'))).toEqual([]);
    expect(server.requests).toEqual([]);
  });

  it('cannot write a hook by a symbolic link to .git (CVE-2024-32002)', async () => {
    repository.commit({
      ...{ '.gitmodules': gitmodules('A/modules/x'), 'A/modules/x': { submodule: hook }, a: { symlink: '.git' } },
    });
    await bench.checkout(repository.url, {}).catch((error: unknown) => {
      expect(error).toBeInstanceOf(BuildFailure);
    });
    expect(server.requests).toEqual([]);
    expect(existsSync(path.join(bench.dir, '.git', 'hooks'))).toBe(false);
    expectNoHarm();
  });

  it('cannot write a hook by a path that ends with CR (CVE-2025-48384)', async () => {
    repository.commit({
      '.gitmodules': gitmodules('"sub\r"'),
      'sub\r': { submodule: hook },
      sub: { symlink: '.git/modules/x/hooks' },
    });
    await bench.checkout(repository.url, {}).catch((error: unknown) => {
      expect(error).toBeInstanceOf(BuildFailure);
    });
    expect(server.requests).toEqual([]);
    expectNoHarm();
  });

  it("cannot give options by a submodule's URL (CVE-2018-17456)", async () => {
    const config = `[submodule "x"]\n\tpath = vendor\n\turl = "-u./payload"\n`;
    repository.commit({
      '.gitmodules': config,
      vendor: { submodule: hook },
      payload: { executable: `touch '${marker}'` },
    });
    await expect(bench.checkout(repository.url, {})).rejects.toThrow(BuildFailure);
    expectNoHarm();
  });
});

describe('a repository with forbidden paths', () => {
  /** Makes a commit of trees as they are given, which fast-import would refuse. */
  function commitTree(entries: readonly string[]): void {
    const tree = repository.git(['mktree', '--missing'], `${entries.join('\n')}\n`);
    const identity = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
    repository.git(['update-ref', 'refs/heads/main', repository.git([...identity, 'commit-tree', '-m', 'x', tree])]);
  }

  it.each(['.git', '.GIT', 'git~1', '.g\u200cit', '..'])('cannot write to %j', async (name) => {
    const blob = repository.git(['hash-object', '-w', '--stdin'], `#!/bin/sh\ntouch '${marker}'\n`);
    const tree = repository.git(['mktree'], `100755 blob ${blob}\tpost-checkout\n`);
    commitTree([`040000 tree ${tree}\t${name}`]);
    await expect(bench.checkout(repository.url, {})).rejects.toThrow(BuildFailure);
    expectNoHarm();
  });

  it('cannot write through a symbolic link that a directory of the same name follows', async () => {
    const target = repository.git(['hash-object', '-w', '--stdin'], place);
    const blob = repository.git(['hash-object', '-w', '--stdin'], 'x');
    const tree = repository.git(['mktree'], `100644 blob ${blob}\tmarker\n`);
    commitTree([`120000 blob ${target}\tlink`, `040000 tree ${tree}\tlink`]);
    await expect(bench.checkout(repository.url, {})).rejects.toThrow(BuildFailure);
    expectNoHarm();
  });

  it('keeps a symbolic link that leads outside as a link, and writes nothing there', async () => {
    repository.commit({ out: { symlink: place }, file: 'x' });
    await bench.checkout(repository.url, {});
    expect(bench.files()).toEqual(['file', 'out']);
    expect(readdirSync(place)).toEqual([]);
    expectNoHarm();
  });
});
