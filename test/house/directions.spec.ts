import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { faultsOf } from './directions';
import { neighbours } from './rooms';
import { filesOf, importsOf, root } from './source-tree';

describe('the house', () => {
  it('keeps the directions of its imports, without cycles, barrel files and forwardRef', () => {
    expect(faultsOf(root)).toEqual([]);
  });

  it('has a row in the table for every folder of src, and a folder for every row', () => {
    const rooms = new Set(
      filesOf(path.join(root, 'src')).flatMap((file) => file.split(path.sep).slice(0, -1).slice(0, 1)),
    );
    expect([...rooms].sort()).toEqual(Object.keys(neighbours).sort());
  });

  it('knows the states of a build without importing anything', () => {
    expect(importsOf(path.join(root, 'src/builds/build-state.ts'))).toEqual([]);
  });
});

describe('the guard of the house', () => {
  let project: string;

  beforeEach(() => {
    project = mkdtempSync(path.join(os.tmpdir(), 'image-factory-house-'));
  });

  afterEach(() => {
    rmSync(project, { recursive: true });
  });

  const write = (files: Record<string, string>): void => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(project, name)), { recursive: true });
      writeFileSync(path.join(project, name), text);
    }
  };

  it('lets a tree pass that keeps the rules', () => {
    write({
      'package.json': `{ "version": "1.0.0" }`,
      'migrations/1-first.ts': `export const first = 1;`,
      'src/main.ts': `import { version } from '../package.json'; export { version }; import './app.module'; import './auth/login';`,
      'src/app.module.ts': `import './maintenance/janitor'; import './health/health';`,
      'src/config/env.ts': `import { z } from 'zod'; export const env = z;`,
      'src/database/data-source.ts': `import '../../migrations/1-first'; import { env } from '../config/env.js'; export { env };`,
      'src/auth/login.ts': `import { env } from '../config/env'; import '../users/user'; import './token'; export { env };`,
      'src/auth/token.ts': `export const token = 1;`,
      'src/auth/login.spec.ts': `import '../maintenance/janitor';`,
      'src/users/user.ts': `export const user = 1;`,
      'src/maintenance/janitor.ts': `import '../execution/lease'; export const janitor = 1;`,
      'src/execution/lease.ts': `import '../build-logs/log'; export const lease = 1;`,
      'src/build-logs/log.ts': `export const log = 1;`,
      'src/health/health.ts': `import '../auth/token'; import '../execution/lease'; export const health = 1;`,
    });
    expect(faultsOf(project)).toEqual([]);
  });

  it.each([
    ['an import', `import { worker } from '../execution/worker';`],
    ['an import of a type', `import type { worker } from '../execution/worker';`],
    ['a re-export', `export * from '../execution/worker';`],
    ['an import at run time', `export const worker = () => import('../execution/worker');`],
    ['a require', `export const worker = require('../execution/worker');`],
  ])('finds %s against the direction', (_form, text) => {
    write({ 'src/builds/start.ts': text, 'src/execution/worker.ts': `export const worker = 1;` });
    expect(faultsOf(project)).toEqual([
      'builds/start.ts imports execution/worker.ts, and builds may not import execution',
    ]);
  });

  it('finds an import between the two wings, of the application, and from outside src', () => {
    write({
      'src/app.module.ts': `export const app = 1;`,
      'src/projects/project.ts': `import '../users/user';`,
      'src/users/user.ts': `import '../app.module';`,
      'package.json': `{}`,
      'src/access/guard.ts': `import '../../package.json';`,
      'src/config/env.ts': `import '../../test/support';`,
      'src/http/filter.ts': `import '../../migrations/1-first';`,
    });
    expect(faultsOf(project)).toEqual([
      'access/guard.ts imports ../package.json, which is outside src',
      'config/env.ts imports ../test/support, which is outside src',
      'http/filter.ts imports ../migrations/1-first, which is outside src',
      'projects/project.ts imports users/user.ts, and projects may not import users',
      'users/user.ts imports app.module.ts, and users may not import the application',
    ]);
  });

  it('finds a folder that the table does not know', () => {
    write({ 'src/helpers/text.ts': `import './more';`, 'src/helpers/more.ts': `export const more = 1;` });
    expect(faultsOf(project)).toEqual(['helpers is not in the table of rooms']);
  });

  it('finds a cycle inside a room', () => {
    write({
      'src/builds/a.ts': `import './b';`,
      'src/builds/b.ts': `import './c';`,
      'src/builds/c.ts': `import './a';`,
    });
    expect(faultsOf(project)).toEqual(['cycle: builds/a.ts → builds/b.ts → builds/c.ts → builds/a.ts']);
  });

  it('finds a barrel file, and forwardRef', () => {
    write({
      'src/users/index.ts': `export * from './user';`,
      'src/users/user.ts': `import { forwardRef } from '@nestjs/common'; export const user = forwardRef;`,
    });
    expect(faultsOf(project)).toEqual(['users/index.ts is a barrel file', 'users/user.ts uses forwardRef']);
  });
});
