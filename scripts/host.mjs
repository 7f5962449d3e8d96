// npm run setup, demo and test: the programs of the host and the system user with which images are built.
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isProgram, oneLine, run, runProgram, say } from './terminal.mjs';

const searched = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const subordinateIds = 65_536;

/** Programs and the Debian packages that bring them. */
const engine = [
  { program: 'buildah', package: 'buildah' },
  { program: 'runc', package: 'runc' },
  { program: 'newuidmap', package: 'uidmap' },
  { program: 'setpriv', package: 'util-linux' },
  { program: 'ip', package: 'iproute2' },
  { program: 'nft', package: 'nftables' },
  { program: 'busybox', package: 'busybox-static' },
  { program: 'git', package: 'git' },
  { file: '/etc/ssl/certs/ca-certificates.crt', package: 'ca-certificates' },
];
const ofOrdinaryUsers = [{ program: 'slirp4netns', package: 'slirp4netns' }];
const testTools = [
  { program: 'docker-registry', package: 'docker-registry' },
  { program: 'skopeo', package: 'skopeo' },
  { program: 'htpasswd', package: 'apache2-utils' },
  ...ofOrdinaryUsers,
];

/**
 * Everything that builds images on this host: programs and, for a service that runs as root, the user of the builds.
 * @throws Error with one line that says exactly what to do.
 */
export async function ensureEngine() {
  await ensurePackages([...engine, ...(isRoot() ? [] : ofOrdinaryUsers)]);
  if (isRoot()) await ensureBuildUser(process.env.BUILD_USER || 'image-factory');
  else checkOwnIds();
}

/**
 * What the tests need beyond the engine.
 * @throws Error with one line that says exactly what to do.
 */
export async function ensureTestTools() {
  await ensureEngine();
  await ensurePackages(testTools);
}

function isRoot() {
  return process.geteuid?.() === 0;
}

function isMissing({ program, file }) {
  if (file !== undefined) return !existsSync(file);
  return !searched.some((directory) => existsSync(path.join(directory, program)));
}

/** Debian's plain `busybox` is linked dynamically and cannot run in an empty image. */
function isDynamicBusybox({ program }) {
  if (program !== 'busybox') return false;
  const file = searched.map((directory) => path.join(directory, program)).find((each) => existsSync(each));
  return file !== undefined && isDynamic(readFileSync(file));
}

/** elf(5), 64 bit: true when a program header names an interpreter, which is the dynamic linker. */
function isDynamic(elf) {
  const [interpreter, first, size, count] = [
    3,
    Number(elf.readBigUInt64LE(32)),
    elf.readUInt16LE(54),
    elf.readUInt16LE(56),
  ];
  return Array.from({ length: count }, (_, index) => elf.readUInt32LE(first + index * size)).includes(interpreter);
}

async function ensurePackages(wanted) {
  const missing = wanted.filter((each) => isMissing(each) || isDynamicBusybox(each));
  const packages = [...new Set(missing.map((each) => each.package))];
  if (packages.length === 0) return;
  const names = packages.join(' ');
  if (process.platform !== 'linux') throw new Error(`Images are built on Linux only; there it needs: ${names}.`);
  if (!searched.some((directory) => existsSync(path.join(directory, 'apt-get')))) {
    throw new Error(`Missing on this host: install ${names} (the names of the Debian packages).`);
  }
  if (!isRoot()) {
    throw new Error(`Missing on this host: run "sudo apt-get update && sudo apt-get install -y ${names}".`);
  }
  say(`Installing ${names} (apt-get) …`);
  // Exits 0 when no mirror could be reached, and a list that is there already may do.
  const { output } = await aptGet('update');
  const { code, output: complaint } = await aptGet('install', '-y', '--no-install-recommends', ...packages);
  if (code !== 0) throw new Error(`apt-get could not install ${names}: ${reasonOf(output, complaint)}`);
  const still = missing.filter((each) => isMissing(each)).map((each) => each.package);
  if (still.length > 0) throw new Error(`apt-get installed ${still.join(' ')}, yet its programs are not there.`);
}

async function aptGet(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'l' };
  const options = ['-qq', '-o', 'DPkg::Lock::Timeout=120'];
  return await run('apt-get', [...options, ...args], { quiet: true, env });
}

/** Apt's own words: why its lists could not be brought up to date, if so, says more than what they lack. */
function reasonOf(...outputs) {
  const said = outputs.flatMap((output) => output.split('\n').filter((line) => /^[EW]: /.test(line)));
  return oneLine(said.slice(0, 3).join(' ')) || 'it said nothing.';
}

/** A system user that nobody can log in as, with ids of its own for the users inside of images. */
async function ensureBuildUser(name) {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name) || name === 'root')
    throw new Error(`BUILD_USER "${name}" is not allowed.`);
  if (!(await userExists(name))) {
    say(`Creating the system user ${name}, which runs the builds …`);
    const home = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'];
    await admin('useradd', '--system', '--user-group', ...home, name);
  }
  for (const [file, option] of [
    ['/etc/subuid', '--add-subuids'],
    ['/etc/subgid', '--add-subgids'],
  ]) {
    if (hasRange(file, [name])) continue;
    const first = nextFree(file);
    await admin('usermod', option, `${first}-${first + subordinateIds - 1}`, name);
  }
}

async function userExists(name) {
  if (read('/etc/passwd').some(([user]) => user === name)) return true;
  return (await run('id', ['-u', '--', name], { quiet: true })).code === 0;
}

async function admin(command, ...args) {
  const { code, output } = await run(command, args, { quiet: true });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${oneLine(output)}`);
}

function checkOwnIds() {
  const { username, uid } = os.userInfo();
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    if (hasRange(file, [username, String(uid)])) continue;
    const option = file === '/etc/subuid' ? '--add-subuids' : '--add-subgids';
    const first = nextFree(file);
    const range = `${first}-${first + subordinateIds - 1}`;
    throw new Error(`${file} gives ${username} no ids: run "sudo usermod ${option} ${range} ${username}".`);
  }
}

/** True when the file gives one of these names a range that is wide enough. */
function hasRange(file, names) {
  return read(file).some(([name, , count]) => names.includes(name) && Number(count) >= subordinateIds);
}

/** The first id after all ranges, and not below where they begin by custom. */
function nextFree(file) {
  return Math.max(100_000, ...read(file).map(([, first, count]) => Number(first) + Number(count)));
}

/** The fields of each line of a file like /etc/passwd; none when it is absent. */
function read(file) {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

if (isProgram(import.meta.url)) {
  await runProgram(async () => {
    await (process.argv.includes('--test') ? ensureTestTools() : ensureEngine());
    say('This host can build images.');
  });
}
