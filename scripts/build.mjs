// The compiled service: made anew when a source has changed since.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dependenciesInstalled } from './dependencies.mjs';
import { root, runPackage, say } from './terminal.mjs';

/** What `npm start` runs. */
export const entry = path.join(root, 'dist', 'src', 'main.js');

const stampFile = path.join(root, 'dist', '.sources');
const sources = ['src', 'migrations', 'tsconfig.json', 'tsconfig.build.json', 'nest-cli.json', 'package-lock.json'];

/**
 * Compiles the sources unless `dist` was made from just these. A production install has no compiler: what was built
 * before is served as it is.
 * @throws Error when the compiler finds a fault (it has printed it) or packages are missing.
 */
export async function ensureBuild() {
  const built = existsSync(entry);
  const stamp = fingerprint();
  const missing = new Error('The dependencies are not installed: run `npm run setup` first.');
  if (!dependenciesInstalled({ production: true })) throw missing;
  if (built && readStamp() === stamp) return;
  if (!dependenciesInstalled()) {
    if (built) return;
    throw missing;
  }
  say('Building …');
  const { code, output } = await runPackage('@nestjs/cli/bin/nest.js', ['build'], { quiet: true });
  if (code !== 0) {
    process.stderr.write(output);
    throw new Error('The build failed: its faults are above.');
  }
  writeFileSync(stampFile, stamp);
}

function readStamp() {
  return existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : '';
}

function fingerprint() {
  const hash = createHash('sha256');
  for (const file of sources.flatMap(filesUnder)) {
    if (file.endsWith('.spec.ts')) continue;
    const content = readFileSync(path.join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function filesUnder(name) {
  if (path.extname(name) !== '') return [name];
  return readdirSync(path.join(root, name), { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => path.relative(root, path.join(found.parentPath ?? found.path, found.name)))
    .sort();
}
