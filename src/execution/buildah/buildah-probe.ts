import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { BuildahPlace, type BuildahTraits } from './buildah-place';
import { stepProfile } from './seccomp';
import type { Cage } from '../cage/cage';
import { ask } from '../cage/cage-identity';

const install = 'install buildah, runc and uidmap (on Debian and Ubuntu "npm run setup" as root does it)';

/** In the order of preference; vfs works everywhere, and copies every layer. */
const drivers: readonly (readonly string[])[] = [
  ['--storage-driver', 'overlay'],
  ['--storage-driver', 'overlay', '--storage-opt', 'overlay.mount_program=/usr/bin/fuse-overlayfs'],
  ['--storage-driver', 'vfs'],
];

const runc: readonly string[] = ['--isolation', 'rootless', '--runtime', 'runc'];
const chroot: readonly string[] = ['--isolation', 'chroot'];

/** Static programs that can RUN in an empty image. */
const programs: readonly (readonly [file: string, argument: string])[] = [
  ['/bin/busybox', 'true'],
  ['/sbin/ldconfig.real', '--version'],
  ['/sbin/ldconfig', '--version'],
];

/**
 * Tries what buildah can do in the cage of this host, in a directory of its own that is removed afterwards.
 * @throws Error with one line that says what to install, or why nothing can be built here.
 */
export async function probeBuildah(cage: Cage, probeDir: string): Promise<BuildahTraits> {
  const answer = await ask(['buildah', '--version']).catch(() => null);
  const version = /version (\d+)\.(\d+)\.(\d+)/
    .exec(answer ?? '')
    ?.slice(1)
    .map(Number);
  if (version === undefined) throw new Error(`The build engine is missing: ${install}.`);
  const [major = 0, minor = 0] = version;
  if (major < 1 || (major === 1 && minor < 28))
    throw new Error(`buildah ${version.join('.')} is too old: install 1.28 or newer.`);
  await cage.check();
  const seccomp = await stepProfile();
  await mkdir(probeDir, { recursive: true });
  try {
    let said = '';
    for (const [index, storage] of drivers.entries()) {
      const dirs = {
        storageDir: path.join(probeDir, `storage-${index}`),
        scratchDir: path.join(probeDir, `scratch-${index}`),
      };
      const result = await tryStorage(cage, dirs, { version, storage, isolation: [], seccomp, missing: [] });
      if (typeof result !== 'string') return result;
      said = result;
    }
    throw new Error(`buildah does not work in "${path.dirname(probeDir)}": ${said}`);
  } finally {
    await cage.removeDir(probeDir);
  }
}

/** The traits with this storage, or what buildah said when it failed. */
async function tryStorage(
  cage: Cage,
  dirs: { readonly storageDir: string; readonly scratchDir: string },
  traits: BuildahTraits,
): Promise<BuildahTraits | string> {
  const place = await BuildahPlace.open(cage, traits, dirs);
  let said = '';
  const works = async (...args: readonly string[]): Promise<boolean> => {
    const { exitCode } = await place.buildah('own', args, { onLine: ({ text }) => void (said = text) });
    return exitCode === 0;
  };
  try {
    if (!(await works('from', '--name', 'probe', 'scratch'))) return said;
    const [file, argument] = programs.find(([each]) => existsSync(each)) ?? [];
    // Without a program to try with, runc is taken on trust.
    if (file === undefined || argument === undefined) return withIsolation(traits, runc);
    // BusyBox reads from its name what it shall be.
    const inImage = `/${path.basename(file)}`;
    if (!(await works('copy', 'probe', file, inImage))) return said;
    for (const isolation of [runc, chroot]) {
      if (await works('run', ...isolation, '--network', 'host', 'probe', '--', inImage, argument)) {
        return withIsolation(traits, isolation);
      }
    }
    return said;
  } finally {
    await place.close();
  }
}

function withIsolation(traits: BuildahTraits, isolation: readonly string[]): BuildahTraits {
  const missing = [
    ...(isolation === chroot ? ['RUN steps are isolated by chroot only: runc is missing or does not work here.'] : []),
    ...(traits.seccomp === null
      ? ['RUN steps reach kernel keyrings and VSOCK: the engine has no list of system calls (seccomp.json) to narrow.']
      : []),
    ...(traits.storage.includes('vfs')
      ? ['Every layer is copied whole: neither overlay nor fuse-overlayfs works here.']
      : []),
  ];
  return { ...traits, isolation, missing };
}
