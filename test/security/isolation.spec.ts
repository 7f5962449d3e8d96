import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { BuildRepository } from '../support/build-repository';
import { jwtSecret, Service } from '../support/service';
import { Tenant } from '../support/tenant';

// What a step sees of the worker, of the host and of another tenant's build beside it.

const canary = randomUUID();
/** In the command line, the environment and a file of the neighbour. */
const mark = randomUUID();
const operatorSecret = randomUUID();
const namespaces = ['user', 'pid', 'mnt', 'ipc', 'uts', 'net'];
const directory = mkdtempSync(path.join(tmpdir(), 'image-factory-canary-'));
const secret = path.join(directory, 'secret');
const repository = new BuildRepository();
let service: Service;
let neighbour: Tenant;
let neighbourBuild: string;
let printed: string[];

const look = [
  'RUN env | sed "s/^/env /"',
  'RUN for p in /proc/[0-9]*; do for f in cmdline environ; do tr "\\0" "\\n" < $p/$f | sed "s/^/$f /"; done; done',
  `RUN for f in ${secret} /proc/1/root${secret} /proc/self/cwd/../../../..${secret}; do cat $f || echo refused; done`,
  `RUN find / -name "*${mark}*" 2>/dev/null | sed "s/^/found /"`,
  'RUN for d in "b 8 0" "b 253 0" "b 254 0" "c 1 1"; do mknod /dev/any $d && cat /dev/any || echo no device; done',
  'RUN sed "s/^/inotify /" /proc/sys/user/max_inotify_instances',
  'RUN unshare -Ur id && echo namespace made || echo no namespace',
  'RUN ls /sys/class/net | sed "s/^/interface /"; grep CapBnd /proc/self/status',
  'RUN kill -9 -1 2>/dev/null; hostname changed 2>/dev/null; echo alive',
];

beforeAll(async () => {
  writeFileSync(secret, canary, { mode: 0o600 });
  repository.script('look', ...look);
  repository.script('neighbour', `ENV NEIGHBOUR=${mark}`, `RUN touch /file-${mark}; echo up; sleep 3600`);
  const settings = { ...repository.settings, WORKER_SLOTS: '2', OPERATOR_SECRET: operatorSecret };
  service = await Service.startOnServer({ settings });
  neighbour = await Tenant.make(service);
  const theirs = await neighbour.project({ repository_url: repository.git.url });
  neighbourBuild = (await neighbour.begin(theirs, { branch: 'neighbour' })).id;
  await neighbour.line(neighbourBuild, 'up');
  const tenant = await Tenant.make(service);
  const build = await tenant.run(await tenant.project({ repository_url: repository.git.url }), { branch: 'look' });
  printed = await tenant.lines(build.id);
  expect(build).toMatchObject({ status: 'success', error_message: null });
}, 240_000);

afterAll(async () => {
  await neighbour.cancel(neighbourBuild);
  await service.stop();
  repository.remove();
  rmSync(directory, { recursive: true });
}, 60_000);

/** What the lines that begin with this word go on with. */
const said = (word: string): string[] =>
  printed.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

/** What the kernel says of the neighbour's step, seen from outside. */
function step(): { readonly uids: string[]; readonly spaces: string[] } {
  const numbers = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = numbers.find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'sleep\x003600\x00' && environmentOf(pid).includes(mark);
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error('the step of the neighbour does not run');
  const uids = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${found}/status`, 'utf8'))?.[1]?.split(/\s+/) ?? [];
  return { uids, spaces: namespaces.map((name) => readlinkSync(`/proc/${found}/ns/${name}`)) };
}

const environmentOf = (pid: string | number): string => readFileSync(`/proc/${pid}/environ`, 'utf8');

it('gives a step the environment of its image, and nothing of the worker', () => {
  const names = said('env').map((line) => line.split('=')[0] ?? '');
  expect(names).toContain('PATH');
  const allowed = /^(?:PATH|HOME|HOSTNAME|PWD|OLDPWD|SHLVL|TERM|_|BUILDAH_ISOLATION|LANG|container)$/;
  expect(names.filter((name) => !allowed.test(name))).toEqual([]);
  // It is there to be seen, by who can.
  expect(environmentOf(service.pid)).toContain(jwtSecret);
  for (const each of [jwtSecret, operatorSecret, service.dataDir, 'DATABASE_URL']) {
    expect(printed.join('\n')).not.toContain(each);
  }
});

it('shows a step no process but its own', () => {
  const processes = said('cmdline').join('\n');
  expect(processes).toMatch(/\/bin\/sh|sh/);
  expect(processes).not.toMatch(/node|postgres|buildah|unshare|setpriv|flock|3600/);
  expect([...said('environ'), processes].join('\n')).not.toContain(mark);
  expect(printed).toContain('alive');
});

it('shows a step no file of the host and of no neighbour, and no device of the host', () => {
  expect(printed.filter((line) => line === 'refused')).toHaveLength(3);
  expect(printed.filter((line) => line === 'no device')).toHaveLength(4);
  expect(printed.join('\n')).not.toContain(canary);
  expect(said('found')).toEqual([]);
});

it('runs a step as nobody of the host, in namespaces of its own', () => {
  const { uids, spaces } = step();
  expect(uids).toHaveLength(4);
  expect(uids).not.toContain('0');
  const ours = namespaces.map((name) => readlinkSync(`/proc/${service.pid}/ns/${name}`));
  expect(spaces.filter((each) => ours.includes(each))).toEqual([]);
  expect(hostname()).not.toBe('changed');
});

it('lets a step make no namespace in which it would have every capability', () => {
  expect(printed).toContain('no namespace');
  expect(printed).not.toContain('namespace made');
});

it('leaves other builds their instances of inotify', () => {
  expect(said('inotify')).toEqual(['24']);
});

it('tells a step nothing of the interfaces of the host, and lets it send no raw packets', () => {
  expect(said('interface').filter((name) => !['lo', 'eth0', 'tap0'].includes(name))).toEqual([]);
  const bounds = BigInt(`0x${/CapBnd:\s*([0-9a-f]+)/.exec(printed.join('\n'))?.[1] ?? 'f'.repeat(16)}`);
  const [netAdmin, netRaw, systemAdmin] = [1n << 12n, 1n << 13n, 1n << 21n];
  expect(bounds & (netAdmin | netRaw | systemAdmin)).toBe(0n);
});
