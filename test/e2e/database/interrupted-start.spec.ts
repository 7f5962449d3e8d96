import { once } from 'node:events';
import { chmodSync, mkdtempSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { processesWith } from '../../support/engine/processes';
import { startTestPostgres } from '../../support/postgres';
import { removeDataDir } from '../../support/remove-data-dir';
import { endServices, postmasterPid, ServiceProcess } from '../../support/service-process';
import { waitUntil } from '../../support/wait-until';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'interrupted-'));
  chmodSync(dataDir, 0o711);
});

afterEach(async () => {
  await endServices(dataDir);
  await removeDataDir(dataDir);
});

const jwt = { JWT_SECRET: 'x'.repeat(32) };
const admin = { BOOTSTRAP_ADMIN_EMAIL: 'root@example.com', BOOTSTRAP_ADMIN_PASSWORD: 'not printed at all' };

/** The whole service. */
const start = (env: NodeJS.ProcessEnv = {}): ServiceProcess =>
  ServiceProcess.spawn('../../src/main.ts', { DATA_DIR: dataDir, PORT: '0', ...env });

const freePort = async (): Promise<{ port: number; release: () => void }> => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    release: () => void server.close(),
  };
};

describe('a service that is told to stop while it starts', () => {
  it('leaves nothing running while its database is being made, and starts the next time', async () => {
    const service = start();
    await waitUntil(() => processesWith('/initdb').some((pid) => processesWith(dataDir).includes(pid)));
    await expect(service.end()).resolves.toBe(0);
    expect(processesWith(dataDir)).toEqual([]);
    const next = start();
    await next.line('Image Factory serves');
    await expect(next.end()).resolves.toBe(0);
  });

  it('leaves nothing running while its database starts', async () => {
    const service = start();
    await waitUntil(() => postmasterPid(dataDir) !== undefined);
    await expect(service.end('SIGINT')).resolves.toBe(0);
    expect(processesWith(dataDir)).toEqual([]);
  });

  it('does not go on waiting for a database that does not answer', async () => {
    const { port, release } = await freePort();
    release();
    const service = start({ DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none`, ...jwt });
    await service.line('Waiting for the database');
    const began = performance.now();
    await expect(service.end()).resolves.toBe(0);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('does not go on waiting for another process that migrates', async () => {
    const postgres = await startTestPostgres();
    const other = new Client({ connectionString: postgres.url });
    await other.connect();
    try {
      await other.query('SELECT pg_advisory_lock(7236201845)');
      const service = start({ DATABASE_URL: postgres.url, ...jwt });
      const asks = `SELECT FROM pg_stat_activity WHERE application_name = 'image-factory migrations' AND query LIKE '%advisory%'`;
      await waitUntil(async () => ((await other.query(asks)).rowCount ?? 0) > 0);
      const began = performance.now();
      await expect(service.end('SIGHUP')).resolves.toBe(0);
      expect(performance.now() - began).toBeLessThan(2_000);
    } finally {
      await other.end();
      await postgres.stop();
    }
  });
});

describe('a service that cannot start', () => {
  it('says why in one line when its port is taken, and leaves nothing running', async () => {
    const { port, release } = await freePort();
    const service = start({ PORT: String(port), ...admin });
    await expect(service.ended).resolves.toBe(1);
    release();
    expect(service.output.filter((line) => !line.startsWith('{'))).toEqual([
      `Image Factory could not start: 127.0.0.1:${port} is in use: stop what listens there, or set PORT`,
    ]);
    // The server may be on its last way out.
    await waitUntil(() => processesWith(dataDir).length === 0);
  });

  it('says in one line that the address of its database is none', async () => {
    const service = start({ DATABASE_URL: 'postgres://user:secret@host:port/name', ...jwt });
    await expect(service.ended).resolves.toBe(1);
    expect(service.output.filter((line) => !line.startsWith('{'))).toEqual([
      'Image Factory could not start: DATABASE_URL cannot be read: Invalid URL',
    ]);
  });
});
