import { performance } from 'node:perf_hooks';
import { cacheDirectory, checkPolicy, type PlannedMounts } from './dockerfile-policy';

const vulnerable = [1, 28, 2];
const nothing = { sources: [], caches: [] };
const check = (text: string, version: readonly number[] = vulnerable): PlannedMounts =>
  checkPolicy({ name: 'Dockerfile "app/Dockerfile"', text, version });

describe('on an engine that is known to be vulnerable', () => {
  it('refuses to mount from an image, with file, line, reason and what would allow it', () => {
    expect(() => check('FROM a\nRUN --mount=type=bind,from=a,source=/x,target=/y cat /y\n')).toThrow(
      'Dockerfile "app/Dockerfile" line 2: --mount=type=bind,from=a,source=/x,target=/y: a link in that image could show ' +
        'files of the host (CVE-2024-1753); that needs buildah 1.38.1 or newer on the worker.',
    );
  });

  it.each([
    ['a second mount', 'RUN --mount=type=cache,target=/c --mount=type=bind,from=a,target=/y true'],
    ['a continued line', 'RUN --mount=type=bind,\\\nfrom=a,target=/y true'],
    ['a flag that is continued', 'RUN --mo\\\n  unt=type=bind,from=a,target=/y true'],
    ['comments and empty lines between', 'RUN --mount=type=bind,\\\n# note\n\n  # more\nfrom=a true'],
    ['another escape character', 'RUN --mount=type=bind,`\nfrom=a,target=/y true'],
    ['blanks behind the escape', 'RUN --mount=type=bind,\\ \t\nfrom=a,target=/y true'],
    ['Windows line ends', 'RUN --mount=type=bind,\\\r\nfrom=a,target=/y true\r\n'],
    ['quotes', 'RUN --mount="type=bind,from=a,target=/y" true'],
    ['quotes within the name', `RUN --m'ou'nt=type=bind,fr"om"=a,target=/y true`],
    ['escaped characters', 'RUN --mo\\unt=type=bind,f\\rom=a,target=/y true'],
    ['a quoted blank', 'RUN --mount=type=bind,target="/a b",from=a true'],
    ['other case', 'run --MOUNT=type=bind,FROM=a true'],
    ['blanks around an option', 'RUN --mount="type=bind, from =a" true'],
    ['a tab before it', 'RUN\t--mount=type=bind,from=a true'],
    ['a trigger for later builds', 'ONBUILD RUN --mount=type=bind,from=a true'],
    ['a byte order mark', '\uFEFFRUN --mount=type=bind,from=a true'],
    ['a comment that seems to go on', '# note \\\nRUN --mount=type=bind,from=a true'],
    ['a cache of an image', 'RUN --mount=type=cache,from=a,target=/y true'],
    ['variables', 'RUN --mount=type=bind,$F=a true'],
    ['a variable in the id of a cache', 'RUN --mount=type=cache,id=$I,target=/y true'],
    ['an id that leaves the cache', 'RUN --mount=type=cache,id=../../../etc,target=/y true'],
    ['a later of two ids', 'RUN --mount=type=cache,id=a,id=b/../..,target=/y true'],
    ['a target that leaves the cache', 'RUN --mount=type=cache,target=../../etc true'],
    ['a source that leaves the context', 'RUN --mount=type=bind,source=../..,target=/y true'],
    ['a source that is also said to be a cache’s', 'RUN --mount=type=bind,type=cache,source=../x true'],
    ['propagation', 'RUN --mount=type=bind,bind-propagation=rshared,source=a,target=/y true'],
    ['a mount that is too long to read', `RUN --mount=type=cache,target=/${'a'.repeat(2_000)},from=a true`],
  ])('refuses %s', (_, text) => {
    expect(() => check(text)).toThrow('buildah 1.38.1 or newer');
  });

  it.each([
    'RUN --mount=type=cache,target=/root/.npm npm ci',
    'RUN --mount=type=cache,id=apt,sharing=locked,target=/var/cache/apt apt-get update',
    'RUN --mount=type=cache,target=/root/.cache/go-build,id=a/b go build ./...',
    'RUN --mount=type=tmpfs,target=/tmp/x true',
    'RUN --mount=type=secret,id=token cat /run/secrets/token',
    'RUN --network=none make',
    'RUN mount | grep from= && echo --mountain=from=x',
    'COPY --from=builder --chown=1:1 /a/../b /c',
  ])('lets %s pass', (text) => {
    expect(check(text).sources).toEqual([]);
  });

  it('names the sources in the context, which are to be looked at', () => {
    const text =
      'FROM a\nRUN --mount=type=bind,source=package.json,target=/p \\\n  --mount=type=bind,src=lib,target=/l true\n';
    const mounts = new Map(check(text).sources.map(({ line, source }) => [source, line]));
    expect([...mounts]).toEqual([
      ['package.json', 2],
      ['lib', 2],
    ]);
  });

  it.each([[[1, 37, 5]], [[1, 38, 0]], [[1, 36, 9]], [[0, 99, 9]]])('is one of version %j', (version) => {
    expect(() => check('RUN --mount=type=bind,from=a true', version)).toThrow('CVE-2024-1753');
  });

  it.each([[[1, 37, 6]], [[1, 37, 8]], [[1, 38, 1]], [[1, 39, 3]], [[2, 0, 0]]])('is none of version %j', (version) => {
    expect(check('RUN --mount=type=bind,from=a,source=../x,target=/y true', version)).toEqual(nothing);
  });
});

describe('the directory of the caches', () => {
  const directory = (text: string, version = vulnerable): string => cacheDirectory(check(text).caches, version);
  const cache = (...options: string[]): string =>
    options.map((each) => `RUN --mount=type=cache,${each} true\n`).join('');

  it('is one for all builds that have the same caches, in any order', () => {
    const text = cache('target=/a', 'id=b,target=/x');
    expect(directory(text)).toMatch(/^[0-9a-f]{32}$/);
    expect(directory(cache('id=b,target=/y', 'target=//a/./'))).toBe(directory(text));
    expect(directory(cache('target=/a'))).not.toBe(directory(text));
  });

  it.each([
    [cache('target=/a', 'target=/a/b')],
    [cache('id=a/b,target=/x', 'target=/a')],
    [cache('id=,target=/a/b/c', 'id=a,target=/y')],
  ])('is none where one cache lies in another: %j', (text) => {
    expect(() => directory(text)).toThrow('lies in the cache "a"');
    expect(directory(text, [1, 38, 1])).toBe('all');
  });
});

describe('on every engine', () => {
  const newest = [9, 0, 0];

  it.each([
    'docker/dockerfile',
    'docker/dockerfile:1',
    'docker.io/docker/dockerfile:1.7-labs',
    `docker/dockerfile:1.7@sha256:${'0a'.repeat(32)}`,
  ])('lets the syntax %s pass', (syntax) => {
    expect(check(`# syntax=${syntax}\n# escape=\`\nFROM a\n`, newest)).toEqual(nothing);
  });

  it.each([
    ['# syntax=evil/frontend\nFROM a', 1],
    ['# escape=`\n#syntax = evil.test/docker/dockerfile:1\nFROM a', 2],
    ['\uFEFF# SYNTAX=docker/dockerfile-upstream:master\nFROM a', 1],
    ['#!/usr/bin/env docker\n// syntax=docker/dockerfile@sha256:abc\nFROM a', 2],
    ['# syntax=docker/dockerfile:1 --x\r\nFROM a', 1],
  ])('refuses the syntax of %j', (text, line) => {
    expect(() => check(text, newest)).toThrow(new RegExp(`line ${line}: "# syntax=.* is not allowed`));
  });

  it('takes a syntax for a comment behind the first line that is something else', () => {
    expect(check('FROM a\n# syntax=evil/frontend\n', newest)).toEqual(nothing);
    expect(check('# a note\n# syntax=evil/frontend\nFROM a', newest)).toEqual(nothing);
  });

  it('refuses a step without protection', () => {
    expect(() => check('FROM a\nRUN --security=insecure true\n', newest)).toThrow(
      'line 2: --security=insecure is not allowed',
    );
    expect(check('FROM a\nRUN --security=sandbox true\n', newest)).toEqual(nothing);
  });
});

it.each(['-', '--mount=', '--mount', '\\\n', '\\', '"', "--mount='", '#\n'])(
  'takes bounded time for a text of %j alone',
  (part) => {
    const text = part.repeat((256 * 1_024) / part.length);
    const begun = performance.now();
    try {
      check(text);
    } catch {
      // Refused or not: it came to an end.
    }
    expect(performance.now() - begun).toBeLessThan(5_000);
  },
);

it.each([
  'ARG M=mount\nRUN --$M=type=cache,id=../../..,target=/y ls /y',
  'ARG N=n\nRUN --mo${N}unt=type=bind,from=x ls',
  String.raw`RUN --mo\\unt=type=bind,from=x ls`,
  `RUN --m'""'ount=type=bind,from=x ls`,
  String.raw`RUN --mount=type=bind,f\\rom=x ls`,
  `RUN --mount=type=bind,f'""'rom=x ls`,
  `RUN --mount=type=bind,'"from=x"' ls`,
  'RUN --mount=type=cache,target="/a b" --$M=type=bind,from=x ls',
  'ONBUILD RUN --$M=type=bind,from=x ls',
  'RUN \\\n  --$M=type=bind,from=x ls',
])('refuses a flag that the engine would make another of: %j', (step) => {
  const text = `FROM scratch\n${step}\n`;
  expect(() => checkPolicy({ name: 'Dockerfile', text, version: [1, 28, 2] })).toThrow(
    /cannot be checked before the build/,
  );
});

it.each([
  'RUN cmd --$FLAG',
  'RUN --mount=type=cache,target="/a" cmd --x"$Y"=1',
  'COPY --chown=$USER a b',
  'ENV A=--$B',
])('leaves alone what is no flag of the engine, or plainly named: %j', (step) => {
  const text = `FROM scratch\n${step}\n`;
  expect(checkPolicy({ name: 'Dockerfile', text, version: [1, 28, 2] }).sources).toEqual([]);
});
