// The sample project as a git repository: examples/hello is a folder of ours, and the service builds from git.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { oneLine, root, run } from '../terminal.mjs';

export const branch = 'main';

// The set-up sees to it that this program is there and linked statically.
const busyboxes = ['/bin/busybox', '/usr/bin/busybox'];

/**
 * Makes or updates the repository; a new commit appears only when the folder or the busybox differ from the last.
 * @param directory where the repository shall be.
 * @throws Error when git or busybox is missing, or git refuses.
 */
export async function ensureRepository(directory) {
  const busybox = busyboxes.find((file) => existsSync(file));
  if (busybox === undefined) throw new Error(`The sample project needs a static busybox at ${busyboxes.join(' or ')}.`);
  mkdirSync(directory, { recursive: true });
  if (!existsSync(path.join(directory, '.git'))) {
    await git(directory, 'init', '--quiet');
    await git(directory, 'symbolic-ref', 'HEAD', `refs/heads/${branch}`);
  }
  for (const name of readdirSync(directory)) {
    if (name !== '.git') rmSync(path.join(directory, name), { recursive: true });
  }
  cpSync(path.join(root, 'examples', 'hello'), directory, { recursive: true });
  copyFileSync(busybox, path.join(directory, 'busybox'));
  chmodSync(path.join(directory, 'busybox'), 0o755);
  await git(directory, 'add', '--all', '--force');
  if ((await git(directory, 'status', '--porcelain')) !== '') {
    await git(directory, 'commit', '--quiet', '--no-gpg-sign', '--message', 'The hello project');
  }
  // Builds read it as another user, whatever this person's umask is.
  const { code, output } = await run('chmod', ['-R', 'a+rX', directory], { quiet: true });
  if (code !== 0) throw new Error(`The sample project cannot be shown to builds: ${oneLine(output)}`);
}

/** Runs git apart from this machine's and this person's configuration, and from a git that may have called us. */
async function git(directory, ...args) {
  const settings = {
    'user.name': 'Image Factory Demo',
    'user.email': 'demo@image-factory.example',
    'safe.directory': directory,
    'core.hooksPath': '/dev/null',
    'core.autocrlf': 'false',
    'core.fileMode': 'true',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'));
  const env = { ...Object.fromEntries(inherited), GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  const { code, output } = await run('git', [...options, ...args], { quiet: true, cwd: directory, env });
  if (code !== 0) throw new Error(`git ${args[0]} failed for the sample project: ${oneLine(output)}`);
  return output.trim();
}
