import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type RunProcess, runProcess } from '../../../src/execution/process/run-process';
import { GitHttpServer } from '../../support/git-http-server';
import { GitRepository } from '../../support/git-repository';
import { GitCheckoutBench } from './git-checkout-bench';

const ends: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function makeRepository(): GitRepository {
  const repository = new GitRepository();
  ends.push(() => {
    repository.remove();
  });
  return repository;
}

function makeBench(...options: ConstructorParameters<typeof GitCheckoutBench>): GitCheckoutBench {
  const bench = new GitCheckoutBench(...options);
  ends.push(() => {
    bench.remove();
  });
  return bench;
}

/** The URLs by which a repository is served: as a file, and over HTTP by servers new and old. */
async function serve(repository: GitRepository): Promise<string[]> {
  const servers = [
    await GitHttpServer.start(repository, { protocolVersion: 2 }),
    await GitHttpServer.start(repository, { protocolVersion: 0 }),
  ];
  ends.push(...servers.map((server) => () => server.stop()));
  return [repository.url, ...servers.map(({ url }) => url)];
}

/** Two commits without parents whose names begin with the same seven digits. */
function commitTwins(repository: GitRepository): [string, string] {
  const tree = repository.git(['mktree'], '');
  const seen = new Map<string, string>();
  for (let nonce = 0; ; nonce += 1) {
    const person = 'A <a@example.com> 1750000000 +0000';
    const body = `tree ${tree}\nauthor ${person}\ncommitter ${person}\n\n${nonce}\n`;
    const digits = createHash('sha1').update(`commit ${body.length}\0${body}`).digest('hex').slice(0, 7);
    const twin = seen.get(digits);
    const write = (text: string): string => repository.git(['hash-object', '-t', 'commit', '-w', '--stdin'], text);
    if (twin !== undefined) return [write(twin), write(body)];
    seen.set(digits, body);
  }
}

describe('GitCheckout, a branch or a tag', () => {
  it("takes the branch's newest commit and nothing before it", async () => {
    const repository = makeRepository();
    repository.commit({ 'old.txt': 'old', 'gone.txt': 'x' });
    const tip = repository.commit(
      { 'new.txt': 'new', 'gone.txt': null, 'bin/run': { executable: '#!/bin/sh\n' }, link: { symlink: 'new.txt' } },
      { authorName: 'Grace Höpper', authorEmail: 'grace@example.com' },
    );
    for (const url of await serve(repository)) {
      const bench = makeBench();
      expect(await bench.checkout(url, { branch: 'main' })).toEqual({
        commit: tip,
        authorName: 'Grace Höpper',
        authorEmail: 'grace@example.com',
      });
      expect(bench.files()).toEqual(['bin', 'link', 'new.txt', 'old.txt']);
      expect(readFileSync(path.join(bench.dir, 'link'), 'utf8')).toContain('new');
      expect(existsSync(path.join(bench.dir, '.git', 'shallow'))).toBe(true);
    }
  });

  it('peels tags, and takes tags without a message', async () => {
    const repository = makeRepository();
    const [first, second] = [repository.commit({ a: '1' }), repository.commit({ a: '2' })];
    repository.commit({ a: '3' });
    repository.tag('v1', first, 'The first');
    repository.tag('v2', second);
    for (const url of await serve(repository)) {
      expect(await makeBench().checkout(url, { branch: 'v1' })).toMatchObject({ commit: first });
      expect(await makeBench().checkout(url, { branch: 'v2' })).toMatchObject({ commit: second });
    }
  });

  it('prefers a branch to a tag of the same name', async () => {
    const repository = makeRepository();
    const tagged = repository.commit({ a: '1' });
    const tip = repository.commit({ a: '2' }, { branch: 'release/1.0' });
    repository.tag('release/1.0', tagged, 'Not this');
    expect(await makeBench().checkout(repository.url, { branch: 'release/1.0' })).toMatchObject({ commit: tip });
  });

  it('takes no longer name that ends like the branch', async () => {
    const repository = makeRepository();
    repository.commit({ a: '1' }, { branch: 'other/main' });
    await expect(makeBench().checkout(repository.url, { branch: 'main' })).rejects.toThrow('does not exist');
  });

  it('says that the branch is missing, of an empty repository too', async () => {
    const repository = makeRepository();
    const message = (url: string): string => `Branch or tag "nope" does not exist in ${url}.`;
    for (const url of await serve(repository)) {
      await expect(makeBench().checkout(url, { branch: 'nope' })).rejects.toThrow(message(url));
    }
    repository.commit({ a: '1' });
    for (const url of await serve(repository)) {
      const bench = makeBench();
      await expect(bench.checkout(url, { branch: 'nope' })).rejects.toThrow(message(url));
      await expect(makeBench().checkout(url, { branch: 'nope', commit: 'abcdef1' })).rejects.toThrow(message(url));
      expect(bench.lines.filter((line) => !line.startsWith('INFO'))).toEqual([]);
    }
  });

  it('refuses a tag that is no commit', async () => {
    const repository = makeRepository();
    repository.commit({ a: 'text' });
    repository.git(['tag', 'blob', 'main:a']);
    await expect(makeBench().checkout(repository.url, { branch: 'blob' })).rejects.toThrow(
      'does not point to a commit',
    );
  });

  it('gives no author where there is none, and no address that is not one', async () => {
    const repository = makeRepository();
    repository.commit({ a: '1' }, { authorName: '', authorEmail: 'root@localhost' });
    const result = await makeBench().checkout(repository.url, {});
    expect(result).toMatchObject({ authorName: null, authorEmail: null });
    repository.commit({ a: '2' }, { authorName: 'a\u001b[31mb\u001b]0;x\u0007', authorEmail: '' });
    expect(await makeBench().checkout(repository.url, {})).toMatchObject({ authorName: 'ab', authorEmail: null });
  });
});

describe('GitCheckout, a commit', () => {
  it('takes a commit of the branch, by its full name or its first digits', async () => {
    const repository = makeRepository();
    const [first, second] = [repository.commit({ a: '1' }), repository.commit({ b: '2' })];
    repository.commit({ c: '3' });
    repository.tag('v1', second, 'A tag');
    for (const url of await serve(repository)) {
      for (const [branch, commit] of [
        ['main', first],
        ['v1', first.slice(0, 7)],
        ['main', first.slice(0, 12).toUpperCase()],
      ] as const) {
        const bench = makeBench();
        expect(await bench.checkout(url, { branch, commit })).toMatchObject({ commit: first });
        expect(bench.files()).toEqual(['a']);
        expect(existsSync(path.join(bench.dir, '.git', 'history'))).toBe(false);
      }
    }
  });

  it('fetches the history without its files where the server can', async () => {
    const repository = makeRepository();
    repository.git(['config', 'uploadpack.allowFilter', 'true']);
    const first = repository.commit({ 'directory/big.txt': 'x'.repeat(100_000) });
    repository.commit({ 'directory/big.txt': 'y'.repeat(100_000) });
    for (const url of await serve(repository)) {
      const counts: string[] = [];
      const count: RunProcess = async (command, options) => {
        if (command[0] === 'rm') {
          const args = ['-C', command.at(-1) ?? '', 'rev-list', '--objects', '--all', '--missing=print'] as const;
          await runProcess(['git', ...args], { ...options, onLine: ({ text }) => void counts.push(text) });
        }
        return runProcess(command, options);
      };
      const bench = makeBench(count);
      expect(await bench.checkout(url, { commit: first.slice(0, 7) })).toMatchObject({ commit: first });
      // Two commits are there and the trees that they name are not.
      expect(counts.map((line) => line.startsWith('?')).sort()).toEqual([false, false, true, true]);
      expect(bench.files()).toEqual(['directory']);
    }
  });

  it('refuses a commit that is not on the branch, or nowhere', async () => {
    const repository = makeRepository();
    const base = repository.commit({ a: '1' });
    const elsewhere = repository.commit({ b: '2' }, { branch: 'elsewhere', parent: base });
    for (const url of await serve(repository)) {
      for (const commit of [elsewhere, elsewhere.slice(0, 7), 'f'.repeat(40), '0123456']) {
        await expect(makeBench().checkout(url, { commit })).rejects.toThrow(
          `Commit ${commit} is not on branch or tag "main" of ${url}.`,
        );
      }
    }
  });

  it('refuses digits that begin two commits of the branch', async () => {
    const repository = makeRepository();
    const [one, two] = commitTwins(repository);
    const merged = repository.git([
      '-c',
      'user.name=A',
      '-c',
      'user.email=a@example.com',
      'commit-tree',
      '-p',
      one,
      '-p',
      two,
      '-m',
      'x',
      `${one}^{tree}`,
    ]);
    repository.git(['update-ref', 'refs/heads/main', merged]);
    const digits = one.slice(0, 7);
    await expect(makeBench().checkout(repository.url, { commit: digits })).rejects.toThrow(
      `Commit ${digits} is ambiguous: 2 commits`,
    );
    expect(await makeBench().checkout(repository.url, { commit: two })).toMatchObject({ commit: two });
  });

  it('reads a name of digits as the branch, not as a commit', async () => {
    const repository = makeRepository();
    const first = repository.commit({ a: '1' });
    const other = repository.commit({ b: '1' }, { branch: first, parent: null });
    const bench = makeBench();
    expect(await bench.checkout(repository.url, { branch: first, commit: other })).toMatchObject({ commit: other });
    expect(await makeBench().checkout(repository.url, { branch: 'main', commit: first })).toMatchObject({
      commit: first,
    });
  });
});

describe('GitCheckout, a retry', () => {
  it('takes the commit after the branch was forced elsewhere, or deleted', async () => {
    const repository = makeRepository();
    const old = repository.commit({ old: '1' });
    repository.commit({ new: '1' }, { parent: null });
    repository.deleteBranch('feature');
    // An old server gives what no ref holds to nobody.
    const [file = '', http = ''] = await serve(repository);
    for (const url of [file, http]) {
      for (const branch of ['main', 'feature']) {
        const bench = makeBench();
        expect(await bench.checkout(url, { branch, commit: old, commitVerified: true })).toMatchObject({ commit: old });
        expect(bench.files()).toEqual(['old']);
      }
      await expect(makeBench().checkout(url, { commit: old })).rejects.toThrow('is not on branch');
    }
  });

  it('finds the commit below any ref of a server that gives no single commits', async () => {
    const repository = makeRepository();
    const old = repository.commit({ old: '1' });
    const later = repository.commit({ later: '1' });
    repository.git(['update-ref', 'refs/pull/7/head', later]);
    repository.commit({ new: '1' }, { parent: null });
    const [, , oldServer = ''] = await serve(repository);
    const bench = makeBench();
    expect(await bench.checkout(oldServer, { commit: old, commitVerified: true })).toMatchObject({ commit: old });
    expect(bench.files()).toEqual(['old']);
  });

  it('says that the server no longer has it', async () => {
    const repository = makeRepository();
    const old = repository.commit({ old: '1' });
    repository.commit({ new: '1' }, { parent: null });
    repository.prune();
    for (const url of await serve(repository)) {
      await expect(makeBench().checkout(url, { commit: old, commitVerified: true })).rejects.toThrow(
        `Commit ${old} no longer exists in ${url}.`,
      );
    }
  });
});

describe('GitCheckout, a repository on this machine', () => {
  const asNobody: RunProcess = (command, options) =>
    runProcess(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', ...command], options);

  (process.getuid?.() === 0 ? it : it.skip)('is read by another user than its owner', async () => {
    const repository = makeRepository();
    const first = repository.commit({ a: '1' });
    repository.commit({ b: '1' });
    for (const commit of [null, first, first.slice(0, 8)]) {
      const bench = makeBench(asNobody);
      chmodSync(bench.base, 0o755);
      chownSync(bench.dir, 65534, 65534);
      await bench.checkout(repository.url, { commit });
      expect(bench.files()).toContain('a');
    }
  });

  it('is found at the place where launched commands see it', async () => {
    const repository = makeRepository();
    repository.commit({ a: '1' });
    const elsewhere = mkdtempSync(path.join(tmpdir(), 'elsewhere-'));
    ends.push(() => {
      rmSync(elsewhere, { recursive: true });
    });
    symlinkSync(repository.root, path.join(elsewhere, 'view'));
    const bench = makeBench(runProcess, { allowedFileRoot: repository.root, fileRootInside: `${elsewhere}/view` });
    await bench.checkout(repository.url, {});
    expect(bench.commands.flat()).toContain(`file://${elsewhere}/view/repository.git`);
    expect(bench.lines.join('\n')).not.toContain(elsewhere);
    await expect(bench.checkout(`${repository.url}/none`, {})).rejects.toThrow(
      `There is no git repository at ${repository.url}/none.`,
    );
  });
});
