import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { refNameProblem, repositoryUrlProblem, withoutCredentials } from './git-policy';

function gitAccepts(...form: string[]): boolean {
  return spawnSync('git', ['check-ref-format', ...form]).status === 0;
}

describe('refNameProblem', () => {
  it.each([
    'main',
    'feature/api',
    'v1.2.3',
    '@',
    'a@b',
    'käse',
    '漢字',
    '\u0085',
    'HEAD',
    'a-',
    'refs/heads/x',
    '{',
    'a.lockx',
  ])('accepts %j like git', (name) => {
    expect(refNameProblem(name)).toBeNull();
    expect(gitAccepts(`refs/heads/${name}`)).toBe(true);
  });

  it.each([
    '',
    '.a',
    'a/.b',
    'a..b',
    'a b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[',
    'a\\',
    '/a',
    'a/',
    'a//b',
    'a.',
    'x.lock',
    'x.lock/y',
  ])('refuses %j like git', (name) => {
    expect(refNameProblem(name)).toMatch(/^must /);
    expect(gitAccepts(`refs/heads/${name}`)).toBe(false);
  });

  it.each(['-', '--upload-pack=touch x', '-b', 'a\u0000b', '\ud800'])(
    'refuses %j, which git cannot be given',
    (name) => {
      expect(refNameProblem(name)).toMatch(/^must /);
    },
  );

  it('decides like git check-ref-format', () => {
    const unit = fc.oneof(
      fc.constantFrom(...Array.from('ab@{}.-/~^:?*[]\\ !#$%&()\u0001\u001f\u007f\u0080é漢🎉')),
      fc.constantFrom('.lock', '..', '//', '@{', '.lock/', '/.'),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 6 }), (parts) => {
        const name = parts.join('');
        const accepted = refNameProblem(name) === null;
        expect(accepted).toBe(!name.startsWith('-') && gitAccepts(`refs/heads/${name}`));
        // `--branch` also expands `@{-1}`, and refuses a few names that plumbing takes.
        if (gitAccepts('--branch', name)) expect(accepted).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('repositoryUrlProblem', () => {
  const usual = { allowedProtocols: ['https', 'ssh'] };

  it.each([
    'https://github.com/owner/repository.git',
    'https://user:token@host:8443/a/b',
    'https://token@host/a',
    'https://[2001:db8::1]:8443/a',
    'ssh://git@host:22/~/a',
    'ssh://host/a',
    'git@github.com:owner/repository.git',
    'user@[::1]:/srv/a.git',
  ])('accepts %j', (url) => {
    expect(repositoryUrlProblem(url, usual)).toBeNull();
  });

  it.each([
    ...[
      '',
      '/srv/a',
      './a',
      '../a',
      'a',
      '-',
      '--upload-pack=x',
      '-oProxyCommand=x:y',
      'file:/srv/a',
      'file://host/srv/a',
      'https:/host/a',
    ],
    ...[
      'ext::sh -c id',
      'ext::sh',
      'fd::17',
      'https::https://host/a',
      'transport::address',
      'host:path',
      'https://',
      'https://host',
      'https://host/',
    ],
    ...[
      'ssh://-oProxyCommand=id/a',
      'ssh://-oProxyCommand=id@host/a',
      '-u@host:a',
      'host:-a',
      'git@-host:a',
      'https://a\\@host/a',
      'https:///a',
    ],
    ...[
      'https://host/a b',
      'https://host/a\n',
      'https://host/a\u0000',
      'https://host/%0a',
      'https://host/%7F',
      ' https://host/a',
      'HTTPS://host/a',
    ],
    ...[
      'https://host#@evil/a',
      'https://host?@evil/a',
      'https://a@b@c/d',
      'https://host:port/a',
      'ftp://host/a',
      'data:text/plain,x',
    ],
    `https://host/${'a'.repeat(2_048)}`,
  ])('refuses %j', (url) => {
    expect(repositoryUrlProblem(url, usual)).toMatch(/^must /);
  });

  it('allows the protocols of the operator and no other', () => {
    expect(repositoryUrlProblem('http://host/a', usual)).toBe('must not use the protocol "http" on this service');
    expect(repositoryUrlProblem('git://host/a', usual)).toMatch(/"git"/);
    expect(repositoryUrlProblem('git@host:a', { allowedProtocols: ['https'] })).toMatch(/"ssh"/);
    expect(repositoryUrlProblem('http://host/a', { allowedProtocols: ['http'] })).toBeNull();
  });

  describe('of a file', () => {
    const base = mkdtempSync(path.join(os.tmpdir(), 'git-policy-'));
    const root = path.join(base, 'root');
    const policy = { allowedProtocols: [], allowedFileRoot: root };
    const check = (relative: string): string | null => repositoryUrlProblem(`file://${root}/${relative}`, policy);
    mkdirSync(path.join(root, 'inside'), { recursive: true });
    mkdirSync(path.join(base, 'root-like'));
    mkdirSync(path.join(base, 'outside'));
    symlinkSync(path.join(base, 'outside'), path.join(root, 'out'));
    symlinkSync('inside', path.join(root, 'in'));
    afterAll(() => {
      rmSync(base, { recursive: true });
    });

    it('allows what lies below the root', () => {
      expect([check(''), check('inside'), check('in'), check('not/there/yet'), check('a%20b')]).toEqual([
        null,
        null,
        null,
        null,
        null,
      ]);
    });

    it.each([
      '..',
      '../outside',
      'inside/../../outside',
      '%2e%2e/outside',
      '../root-like',
      'out',
      'out/a',
      'a%2Fb',
      'inside?x',
      'inside#x',
    ])('refuses %j', (relative) => {
      expect(check(relative)).toMatch(/^must /);
    });

    it('refuses every file without a root', () => {
      expect(repositoryUrlProblem(`file://${root}/inside`, usual)).toBe('must not be a file on this service');
    });

    it('follows a root that is a symbolic link', () => {
      const link = path.join(base, 'link');
      symlinkSync(root, link);
      expect(repositoryUrlProblem(`file://${link}/inside`, { allowedProtocols: [], allowedFileRoot: link })).toBeNull();
    });
  });
});

describe('withoutCredentials', () => {
  it.each([
    ['https://user:pass@host/a', 'https://***@host/a'],
    ['https://token@host:8443/a@b', 'https://***@host:8443/a@b'],
    ['ssh://git:pass@host/a', 'ssh://git:***@host/a'],
    ['ssh://git@host/a', 'ssh://git@host/a'],
    ['git@host:a', 'git@host:a'],
    ['file:///srv/a', 'file:///srv/a'],
  ])('shows %s as %s', (url, shown) => {
    expect(withoutCredentials(url)).toBe(shown);
  });
});

it('is tested against a real git', () => {
  expect(execFileSync('git', ['--version'], { encoding: 'utf8' })).toMatch(/^git version/);
});
