// Node's version and the npm packages: what everything else stands on.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { oneLine, root, run, say } from './terminal.mjs';

const least = [20, 19];

/** @throws Error when this Node is too old for the service. */
export function ensureNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  if (major < least[0] || (major === least[0] && minor < least[1])) {
    throw new Error(`Node.js ${least.join('.')} or newer is needed, and this is ${version}: see https://nodejs.org.`);
  }
}

/** True when node_modules holds exactly the versions of package-lock.json; `npm ci` writes its record last. */
export function dependenciesInstalled({ production = false } = {}) {
  const wanted = packagesOf(path.join(root, 'package-lock.json'));
  const installed = packagesOf(path.join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted).every(
    ([name, entry]) =>
      name === '' ||
      entry.optional === true ||
      (production && entry.dev === true) ||
      (installed[name]?.version === entry.version && installed[name]?.integrity === entry.integrity),
  );
}

/**
 * Installs the packages of the lock file unless they are there.
 * @throws Error with npm's own reason.
 */
export async function ensureDependencies() {
  if (dependenciesInstalled()) return;
  say('Installing dependencies (npm ci) …');
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const { code, output } = npm?.endsWith('npm-cli.js')
    ? await run(process.execPath, [npm, ...args], { quiet: true })
    : await run('npm', args, { quiet: true });
  if (code !== 0) throw new Error(`npm ci failed: ${reasonOf(output)}`);
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw new Error(`${file} cannot be read: ${error.message}`, { cause: error });
  }
}

function reasonOf(output) {
  const lines = output
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!)\s*/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('A complete log'));
  return oneLine(lines.slice(0, 4).join('; ')) || 'it said nothing.';
}
