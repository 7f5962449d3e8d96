import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { parseEnv, settingNames } from '../../src/config/env';
import { filesOf, importsOf, root } from './source-tree';

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

const versions = z.record(z.string(), z.string()).default({});
const packageFile = z
  .object({
    scripts: z.record(z.string(), z.string()),
    dependencies: versions,
    devDependencies: versions,
    optionalDependencies: versions,
  })
  .parse(JSON.parse(read('package.json')));

describe('.env.example', () => {
  // A setting stands there as a comment that only needs its mark removed: `# NAME=default`.
  const examples = [...read('.env.example').matchAll(/^#? ?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(
    ([, name = '', value = '']) => [name, value] as const,
  );

  it('lists exactly the settings, each once, in the order of the schema', () => {
    expect(examples.map(([name]) => name)).toEqual(settingNames);
  });

  it('shows the true defaults', () => {
    expect(parseEnv(Object.fromEntries(examples))).toEqual(parseEnv({}));
  });

  it('leaves none of the defaults out but the number of cores', () => {
    const empty = examples.filter(([, value]) => value === '').map(([name]) => name);
    const defaults = Object.entries(parseEnv({})).filter(([, value]) => !Array.isArray(value) || value.length > 0);
    expect(defaults.map(([name]) => name).filter((name) => empty.includes(name))).toEqual(['WORKER_SLOTS']);
  });

  it('sets nothing by itself', () => {
    expect(
      read('.env.example')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    ).toEqual([]);
  });
});

describe('the packages', () => {
  const all = Object.entries({
    ...packageFile.dependencies,
    ...packageFile.devDependencies,
    ...packageFile.optionalDependencies,
  });

  it('have exact versions', () => {
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });

  it('come from the public registry alone, each with its checksum', () => {
    const lock = z
      .object({
        packages: z.record(
          z.string(),
          z.object({
            resolved: z.string().optional(),
            integrity: z.string().optional(),
            link: z.literal(true).optional(),
          }),
        ),
      })
      .parse(JSON.parse(read('package-lock.json')));
    const strangers = Object.entries(lock.packages).filter(
      ([name, { resolved, integrity, link }]) =>
        name !== '' &&
        (link === true ||
          integrity === undefined ||
          (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/'))),
    );
    expect(strangers).toEqual([]);
  });

  it('stand with their reason in CONTRIBUTING.md, and no others', () => {
    const rows = [...read('CONTRIBUTING.md').matchAll(/^\| `([^`]+)` +\| (\S+) +\|/gm)].map(([, name, version]) => [
      name,
      version,
    ]);
    const byName = (a: readonly unknown[], b: readonly unknown[]): number => String(a[0]).localeCompare(String(b[0]));
    expect(rows.sort(byName)).toEqual(all.sort(byName));
  });
});

describe('the project', () => {
  const files = filesOf(root);
  const codeFiles = files.filter((file) => /\.(ts|mjs)$/.test(file));

  it('stands alone: no file names a place of the machine on which it was written', () => {
    // Put together here, so that this file is none of those that it looks for.
    const places = [
      ['..', 'shared'],
      ['', 'work', 'main'],
      ['', 'work', 'shared'],
      ['', 'work', '.library'],
    ].map((parts) => parts.join('/'));
    const strangers = files.filter((file) => {
      const text = read(file);
      return places.some((place) => text.includes(place));
    });
    expect(strangers).toEqual([]);
  });

  it('imports nothing from outside its folder', () => {
    const outside = codeFiles.flatMap((file) =>
      importsOf(path.join(root, file))
        .filter((specifier) => specifier.startsWith('.') || path.isAbsolute(specifier))
        .filter((specifier) => path.relative(root, path.resolve(root, path.dirname(file), specifier)).startsWith('..'))
        .map((specifier) => `${file} imports ${specifier}`),
    );
    expect(outside).toEqual([]);
  });

  it('has every file that a script of package.json runs', () => {
    const run = Object.values(packageFile.scripts).flatMap((script) => script.match(/\S+\.mjs/g) ?? []);
    expect(run.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
    expect(run.length).toBeGreaterThan(0);
  });
});

describe.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'])('%s', (file) => {
  it('names only commands that exist', () => {
    const commands = [...read(file).matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)].map(
      ([, named, short]) => named ?? short,
    );
    expect(commands.filter((command) => command !== undefined && !(command in packageFile.scripts))).toEqual([]);
  });

  it('links only to files that exist', () => {
    const links = [...read(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = '']) => target);
    expect(links.filter((target) => !existsSync(path.join(root, target)))).toEqual([]);
  });

  it('names only paths of the tree that exist', () => {
    const paths = [...read(file).matchAll(/`((?:src|test|scripts|migrations|examples|\.ci)\/[\w./-]+)`/g)].map(
      ([, target = '']) => target,
    );
    expect(paths.filter((target) => !existsSync(path.join(root, target)))).toEqual([]);
  });
});
