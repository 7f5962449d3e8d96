import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { endServices, postmasterPid, ServiceProcess } from '../../support/service-process';
import { waitUntil } from '../../support/wait-until';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'database-'));
  chmodSync(dataDir, 0o711);
});

afterEach(async () => {
  await endServices(dataDir);
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

const start = (): ServiceProcess => ServiceProcess.spawn('database-service.ts', { DATA_DIR: dataDir });
const filesOf = (directory: string): string => path.join(directory, 'postgres', 'data');

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const addTenant = `INSERT INTO tenants (name) VALUES ('acme')`;
const countTenants = 'SELECT count(*)::int AS tenants FROM tenants';

function serverPid(): number {
  const pid = postmasterPid(dataDir);
  if (pid === undefined) throw new Error('The server does not run.');
  return pid;
}

describe('the embedded PostgreSQL', () => {
  it('is durable, listens on its socket only, and gives the service a user who is no administrator', async () => {
    const service = start();
    const [row] = await ask(
      await service.url(),
      `SELECT current_setting('listen_addresses') AS listen, current_setting('fsync') AS fsync,
              current_setting('data_checksums') AS checksums, current_setting('server_encoding') AS encoding,
              current_setting('synchronous_commit') AS commit, lower('ÄÖ') AS lower,
              (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS administrator`,
    );
    expect(row).toEqual({
      listen: '',
      fsync: 'on',
      checksums: 'on',
      encoding: 'UTF8',
      commit: 'on',
      lower: 'äö',
      administrator: false,
    });
    expect(await service.end()).toBe(0);
  });

  it('stops after the last feature has used it, and keeps the data over a restart', async () => {
    const first = start();
    await ask(await first.url(), addTenant);
    expect(await first.end()).toBe(0);
    expect(first.output).toContain('{"atShutdown":{"tenants":1}}');
    expect(postmasterPid(dataDir)).toBeUndefined();
    expect(existsSync(path.join(dataDir, 'postgres', 'run'))).toBe(false);
    expect(readFileSync(path.join(dataDir, 'postgres', 'log', 'postgres.log'), 'utf8')).not.toMatch(/terminating/);

    const second = start();
    expect(await ask(await second.url(), countTenants)).toEqual([{ tenants: 1 }]);
    expect(await second.end()).toBe(0);
  });

  it('starts at the first try after a kill -9 of the service', async () => {
    const first = start();
    await ask(await first.url(), addTenant);
    await first.end('SIGKILL');
    const orphan = serverPid();

    const second = start();
    expect(await ask(await second.url(), countTenants)).toEqual([{ tenants: 1 }]);
    expect(serverPid()).not.toBe(orphan);
    expect(await second.end()).toBe(0);
  });

  it('runs again by itself after a kill -9 of the server, and the same pool goes on', async () => {
    const service = start();
    await ask(await service.url(), addTenant);
    process.kill(serverPid(), 'SIGKILL');
    await service.line('ended (SIGKILL); starting it again');
    const url = await service.url();
    await waitUntil(async () => (await ask(url, countTenants)).length === 1, 10_000);
    expect(await service.end()).toBe(0);
    expect(service.output).toContain('{"atShutdown":{"tenants":1}}');
  });

  it('starts at the first try after a kill -9 of both', async () => {
    const first = start();
    await ask(await first.url(), addTenant);
    const server = serverPid();
    await first.end('SIGKILL');
    process.kill(server, 'SIGKILL');

    const second = start();
    expect(await ask(await second.url(), countTenants)).toEqual([{ tenants: 1 }]);
    expect(await second.end()).toBe(0);
  });

  it('is not misled by a pid file whose number belongs to another process now', async () => {
    const first = start();
    await first.url();
    const pidFile = path.join(filesOf(dataDir), 'postmaster.pid');
    const content = readFileSync(pidFile, 'utf8');
    expect(await first.end()).toBe(0);
    writeFileSync(pidFile, content.replace(/^\d+/, String(process.pid)));

    const second = start();
    await second.url();
    expect(await second.end()).toBe(0);
  });

  it('makes its files anew when the first start was killed in the middle', async () => {
    const first = start();
    await waitUntil(
      () =>
        existsSync(path.join(dataDir, 'postgres')) &&
        readdirSync(path.join(dataDir, 'postgres')).some((entry) => entry.startsWith('unfinished-')),
    );
    await first.end('SIGKILL');
    expect(existsSync(filesOf(dataDir))).toBe(false);

    const second = start();
    await second.url();
    expect(await second.end()).toBe(0);

    // The killed service's initdb may have gone on for a moment.
    const third = start();
    await third.url();
    expect(readdirSync(path.join(dataDir, 'postgres')).sort()).toEqual(['data', 'lock', 'log', 'run']);
    expect(await third.end()).toBe(0);
  });

  it('refuses a second service on the same directory in one line, and goes on', async () => {
    const first = start();
    const url = await first.url();
    const second = start();
    expect(await second.ended).toBe(1);
    expect(second.output).toHaveLength(1);
    expect(second.output[0]).toMatch(/The data directory .* is in use by a running service \(process \d+\)/);
    expect(await ask(url, countTenants)).toEqual([{ tenants: 0 }]);
    expect(await first.end()).toBe(0);
  });

  it('refuses files of another major version in one line', async () => {
    mkdirSync(filesOf(dataDir), { recursive: true });
    writeFileSync(path.join(filesOf(dataDir), 'PG_VERSION'), '13\n');
    const service = start();
    expect(await service.ended).toBe(1);
    expect(service.output).toHaveLength(1);
    expect(service.output[0]).toMatch(/was made by PostgreSQL 13 and the embedded one is \d+/);
  });

  it('works below a path that is too long for a socket, and leaves no directory elsewhere', async () => {
    const short = dataDir;
    dataDir = path.join(short, 'a'.repeat(90), `with "quotes", blanks & %41 ${'b'.repeat(40)}`);
    try {
      const service = start();
      expect(await ask(await service.url(), countTenants)).toEqual([{ tenants: 0 }]);
      const sockets = readlinkSync(path.join(dataDir, 'postgres', 'run'));
      await service.end('SIGKILL');
      expect(existsSync(sockets)).toBe(true);

      const second = start();
      expect(await ask(await second.url(), countTenants)).toEqual([{ tenants: 0 }]);
      expect(existsSync(sockets)).toBe(false);
      const again = readlinkSync(path.join(dataDir, 'postgres', 'run'));
      expect(await second.end()).toBe(0);
      expect(existsSync(again)).toBe(false);
    } finally {
      await endServices(dataDir);
      dataDir = short;
    }
  });
});
