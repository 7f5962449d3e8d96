import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BuildFailure } from '../../src/execution/image-builder';
import { GitCheckoutBench } from '../e2e/execution/git-checkout-bench';
import { GitHttpServer, type Interception } from '../support/git-http-server';
import { GitRepository } from '../support/git-repository';
import { waitUntil } from '../support/wait-until';

let place: string;
let marker: string;
let repository: GitRepository;
let bench: GitCheckoutBench;
let canary: Server;
let elsewhere: string;
const hits: string[] = [];
const ends: (() => Promise<void>)[] = [];

beforeEach(async () => {
  place = mkdtempSync(path.join(tmpdir(), 'git-hostile-'));
  marker = path.join(place, 'marker');
  repository = new GitRepository();
  bench = new GitCheckoutBench();
  canary = createServer((request, response) => {
    hits.push(String(request.url));
    response.end();
  });
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  elsewhere = `http://127.0.0.1:${(canary.address() as AddressInfo).port}`;
});

afterEach(async () => {
  expect([existsSync(marker), readdirSync(bench.base), hits]).toEqual([false, ['checkout'], []]);
  for (const end of ends.splice(0)) await end();
  canary.close();
  for (const directory of [place, repository.root, bench.base]) rmSync(directory, { recursive: true, force: true });
});

async function serve(intercept: Interception = () => false): Promise<GitHttpServer> {
  const server = await GitHttpServer.start(repository, { intercept });
  ends.push(() => server.stop());
  return server;
}

const touch = (): string => `touch '${marker}'`;

describe('files of a repository that are configuration elsewhere', () => {
  it('are files: settings, filters, an embedded repository', async () => {
    const config = `[core]\n\tfsmonitor = ${touch()}\n\tsshCommand = ${touch()}\n\thooksPath = .\n\tbare = true\n\trepositoryformatversion = 0\n[filter "x"]\n\tsmudge = ${touch()}\n\tprocess = ${touch()}\n[alias]\n\tcheckout = "!${touch()}"\n`;
    const own = { '.gitconfig': config, '.lfsconfig': config, config, HEAD: 'ref: refs/heads/main\n' };
    repository.commit({
      ...own,
      'objects/x': '',
      'refs/x': '',
      'post-checkout': { executable: `#!/bin/sh\n${touch()}\n` },
      '.gitattributes': '* filter=x diff=x merge=x text=auto\n',
      'inner/config': config,
      'inner/HEAD': 'ref: refs/heads/main\n',
      'inner/objects/x': '',
      'inner/refs/x': '',
    });
    await bench.checkout(repository.url, {});
    expect(readFileSync(path.join(bench.dir, 'inner', 'config'), 'utf8')).toBe(config);
    expect(bench.files()).toContain('.gitconfig');
  });

  it('run nothing as the configuration of the repository that is fetched (CVE-2024-32004, CVE-2024-32465)', async () => {
    const commit = repository.commit({ a: 'lost', b: 'kept' });
    const lost = repository.git(['rev-parse', `${commit}:a`]);
    const script = path.join(place, 'run');
    writeFileSync(script, `#!/bin/sh\n${touch()}\n`, { mode: 0o755 });
    for (const [key, value] of [
      ['core.repositoryFormatVersion', '1'],
      ['extensions.partialClone', 'origin'],
      ['remote.origin.url', `file://${place}`],
      ['remote.origin.promisor', 'true'],
      ['remote.origin.uploadpack', script],
      ['uploadpack.packObjectsHook', script],
      ['core.fsmonitor', script],
      ['core.alternateRefsCommand', script],
    ] as const) {
      repository.git(['config', key, value]);
    }
    rmSync(path.join(repository.directory, 'objects', lost.slice(0, 2), lost.slice(2)));
    await bench.checkout(repository.url, {}).catch((error: unknown) => {
      expect(error).toBeInstanceOf(BuildFailure);
    });
  });
});

describe('a server that leads elsewhere', () => {
  it.each(['ELSEWHERE/repository.git', 'file://PLACE', 'ext::sh -c touch% MARKER', 'ssh://-oProxyCommand=touch/x'])(
    'is not followed to %s, neither at first nor later',
    async (pattern) => {
      repository.commit({ a: '1' });
      const location = pattern.replace('ELSEWHERE', elsewhere).replace('PLACE', place).replace('MARKER', marker);
      for (const part of ['/info/refs', '/git-upload-pack']) {
        const server = await serve(({ url = '' }, response) => {
          if (!url.split('?')[0]?.endsWith(part)) return false;
          response.writeHead(302, { location }).end();
          return true;
        });
        await expect(bench.checkout(server.url, {})).rejects.toThrow('redirects to another place');
      }
    },
  );

  it('is not followed by the alternates of a plain server', async () => {
    const commit = repository.commit({ a: '1' });
    const server = await serve(({ url = '' }, response) => {
      const [, file = ''] = url.split('?')[0]?.split('repository.git') ?? [];
      if (file === '/info/refs') response.end(`${commit}\trefs/heads/main\n`);
      else if (file.endsWith('alternates')) response.end(`${elsewhere}/objects\n`);
      else response.writeHead(404).end();
      return true;
    });
    await expect(bench.checkout(server.url, {})).rejects.toThrow(BuildFailure);
    expect(server.requests.length).toBeGreaterThan(1);
  });

  it('is not followed to bundles and packs', async () => {
    const commit = repository.commit({ a: '1' });
    const blob = repository.git(['rev-parse', `${commit}:a`]);
    for (const [key, value] of [
      ['uploadpack.advertiseBundleURIs', 'true'],
      ['bundle.version', '1'],
      ['bundle.mode', 'all'],
      ['bundle.x.uri', `${elsewhere}/x.bundle`],
      ['uploadpack.blobPackfileUri', `${blob} ${'a'.repeat(40)} ${elsewhere}/x.pack`],
    ] as const) {
      repository.git(['config', key, value]);
    }
    const server = await serve();
    await bench.checkout(server.url, {});
    expect(bench.files()).toEqual(['a']);
  });
});

describe('names of refs', () => {
  it.each(['$(touch${IFS}MARKER)', '`touch`', 'a;touch', "a'b", 'a|b&c', '%2e%2e', 'HEAD', 'refs/heads/x'])(
    'are names and nothing else: %s',
    async (pattern) => {
      const branch = pattern.replace('MARKER', 'marker');
      const commit = repository.commit({ a: branch }, { branch });
      expect(await bench.checkout(repository.url, { branch })).toMatchObject({ commit });
    },
  );

  it('write nothing beside the repository when a server makes them up', async () => {
    const commit = repository.commit({ a: '1' });
    const lines = ['refs/heads/../../../../marker', 'refs/heads/--upload-pack=x', '../marker', 'refs/heads/a.lock'];
    const packet = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
    const server = await serve(({ url = '' }, response) => {
      if (!url.includes('/info/refs')) return false;
      const [first = '', ...others] = lines;
      response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
      response.end(
        `${packet('# service=git-upload-pack\n')}0000${packet(`${commit} ${first}\0side-band-64k ofs-delta\n`)}` +
          `${others.map((name) => packet(`${commit} ${name}\n`)).join('')}0000`,
      );
      return true;
    });
    const missing = 'f'.repeat(40);
    for (const wish of [{}, { commit: missing, commitVerified: true }]) {
      await expect(bench.checkout(server.url, wish)).rejects.toThrow(BuildFailure);
    }
    const written = readdirSync(place).concat(readdirSync(path.dirname(bench.dir)));
    expect(written).toEqual(['checkout']);
  });
});

describe('a tree that is too much', () => {
  /** A tree that holds this entry under so many names. */
  const treeOf = (mode: string, kind: string, id: string, names: number): string =>
    repository.git(
      ['mktree'],
      Array.from({ length: names }, (_, index) => `${mode} ${kind} ${id}\tn${index}\n`)
        .sort()
        .join(''),
    );

  function commitTree(tree: string): void {
    const person = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
    repository.git(['update-ref', 'refs/heads/main', repository.git([...person, 'commit-tree', '-m', 'x', tree])]);
  }

  it('of many million files from a few kilobytes ends with the limit of time', async () => {
    const blob = repository.git(['hash-object', '-w', '--stdin'], 'x');
    let tree = treeOf('100644', 'blob', blob, 20);
    for (let level = 0; level < 5; level += 1) tree = treeOf('040000', 'tree', tree, 20);
    commitTree(tree);
    const stop = new AbortController();
    const ended = bench.checkout(repository.url, {}, stop.signal);
    ended.catch(() => undefined);
    await waitUntil(() => bench.commands.flat().some((word) => word.includes('git checkout')));
    setTimeout(() => {
      stop.abort(new Error('too long'));
    }, 500);
    await expect(ended).rejects.toThrow('too long');
  });
});
