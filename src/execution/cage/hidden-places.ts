import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { toolPath } from './cage-identity';
import { isWithin } from '../files/is-within';

/**
 * Not a build's business: what other container tools keep on the host (buildah looks for signatures there), the homes of
 * people, and the sockets of services that may trust the service's user.
 */
const foreign: readonly string[] = [
  ...['/var/lib/containers', '/var/lib/docker', '/home', '/root'],
  ...['user', 'dbus', 'docker.sock', 'containerd', 'podman', 'postgresql'].map((name) => `/run/${name}`),
];

/** No home or working directory that holds one of these is hidden: every command needs them. */
const needed: readonly string[] = [...toolPath.split(':'), '/etc', '/lib', '/proc', '/sys', '/dev', '/var/tmp', '/tmp'];

/**
 * The files and directories of the host of which a cage whose view is mounted on `root` shows nothing: these, and whatever
 * else is no business of a build. Where the service is an ordinary user, a way out of the engine would lead to all that this
 * user owns.
 */
export async function hiddenPlaces(these: readonly string[], root: string): Promise<string[]> {
  const own = await realPaths([homedir(), process.cwd()]);
  const spare = own.filter((each) => ![root, ...needed].some((directory) => isWithin(each, directory)));
  return [...new Set([...(await realPaths([...these, ...foreign])), ...spare])];
}

/** Without those that are not there. */
function realPaths(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.filter((each) => existsSync(each)).map((each) => realpath(each)));
}
