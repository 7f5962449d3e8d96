import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { makeOtherUser, type OtherUser } from '../../support/other-user';
import { endServices, postmasterPid, type Runner, ServiceProcess } from '../../support/service-process';

const asRoot = process.getuid?.() === 0 ? it : it.skip;

let home: string;
let dataDir: string;
let user: OtherUser | undefined;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'accounts-'));
  chmodSync(home, 0o755);
  dataDir = path.join(home, 'data');
});

afterEach(async () => {
  await endServices(dataDir);
  user?.remove();
  user = undefined;
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
});

const start = (runner?: Runner): ServiceProcess =>
  ServiceProcess.spawn('database-service.ts', { DATA_DIR: dataDir }, runner);
const ownerOfFiles = (): number => statSync(path.join(dataDir, 'postgres', 'data')).uid;

/** The user of the server's process, as the host sees it. */
function userOfServer(): number {
  const status = readFileSync(`/proc/${postmasterPid(dataDir) ?? 'none'}/status`, 'utf8');
  return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
}

async function addAndCountTenants(url: string, name: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('INSERT INTO tenants (name) VALUES ($1)', [name]);
    return (await client.query<{ tenants: number }>('SELECT count(*)::int AS tenants FROM tenants')).rows[0]?.tenants;
  } finally {
    await client.end();
  }
}

const connectTo = (url: string): string => `
  const [directory] = [new URL(${JSON.stringify(url)}).searchParams.get('host')];
  const socket = require('node:net').connect(directory + '/.s.PGSQL.5432');
  socket.on('connect', () => { console.log('connected'); socket.destroy(); });
  socket.on('error', (error) => console.log(error.code));`;

describe('who runs the embedded PostgreSQL', () => {
  asRoot('is an unprivileged user in place of root, or root without privileges below a private home', async () => {
    user = makeOtherUser();
    const first = start(user.asRoot);
    expect(await addAndCountTenants(await first.url(), 'first')).toBe(1);
    const unprivileged = userOfServer();
    expect(unprivileged).toBeGreaterThan(0);
    expect(ownerOfFiles()).toBe(unprivileged);
    expect(await first.end()).toBe(0);

    chmodSync(home, 0o700);
    const second = start(user.asRoot);
    expect(await addAndCountTenants(await second.url(), 'second')).toBe(2);
    expect(userOfServer()).toBe(0);
    expect(ownerOfFiles()).toBe(0);
    const status = readFileSync(`/proc/${postmasterPid(dataDir) ?? 'none'}/uid_map`, 'utf8');
    expect(status.trim().split(/\s+/)).toEqual(['65534', '0', '1']);
    await second.end('SIGKILL');

    // Whatever way the files were made, the next start finds its own.
    chmodSync(home, 0o755);
    const third = start(user.asRoot);
    expect(await addAndCountTenants(await third.url(), 'third')).toBe(3);
    expect(await third.end()).toBe(0);
  });

  asRoot('is oneself as an ordinary user, in a private home', async () => {
    user = makeOtherUser();
    dataDir = path.join(user.home, 'data');
    const first = start(user);
    expect(await addAndCountTenants(await first.url(), 'first')).toBe(1);
    expect(userOfServer()).toBe(user.uid);
    await first.end('SIGKILL');

    const second = start(user);
    expect(await addAndCountTenants(await second.url(), 'second')).toBe(2);
    expect(await second.end()).toBe(0);
  });

  asRoot("stays the owner of the files when root starts what is in an ordinary user's home", async () => {
    user = makeOtherUser();
    dataDir = path.join(user.home, 'data');
    const first = start(user);
    expect(await addAndCountTenants(await first.url(), 'first')).toBe(1);
    expect(await first.end()).toBe(0);

    const second = start(user.asRoot);
    expect(await addAndCountTenants(await second.url(), 'second')).toBe(2);
    expect(userOfServer()).toBe(user.uid);
    expect(await second.end()).toBe(0);
  });

  asRoot('can be reached by nobody else on the machine', async () => {
    user = makeOtherUser();
    const ours = start();
    expect(user.run(connectTo(await ours.url())).stdout.trim()).toBe('EACCES');
    expect(await ours.end()).toBe(0);

    chmodSync(home, 0o700);
    dataDir = path.join(home, 'private');
    const hidden = start();
    expect(user.run(connectTo(await hidden.url())).stdout.trim()).toBe('EACCES');
    expect(await hidden.end()).toBe(0);

    // The same attempt by who may.
    mkdirSync(path.join(user.home, 'own'));
    dataDir = path.join(user.home, 'own', 'data');
    const service = start(user.asRoot);
    expect(user.run(connectTo(await service.url())).stdout.trim()).toBe('connected');
    expect(await service.end()).toBe(0);
  });

  asRoot('says in one line that the directory belongs to someone else', async () => {
    const first = start();
    await first.url();
    expect(await first.end()).toBe(0);
    user = makeOtherUser();
    const second = start(user);
    expect(await second.ended).toBe(1);
    expect(second.output).toHaveLength(1);
    expect(second.output[0]).toMatch(/The data directory .* cannot be used: .*permission denied/);
  });
});
