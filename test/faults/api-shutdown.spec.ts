import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { LogClient } from '../e2e/build-logs/log-client';
import type { Answer } from '../support/caller';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { Service } from '../support/service';
import { SlowRequest } from '../support/slow-request';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

/** How long requests may take after the signal. */
const drainMs = 10_000;
/** More than what fits into the buffers between two processes. */
const archiveBytes = 64 * 1_024 * 1_024;

const artifactDir = mkdtempSync(path.join(tmpdir(), 'image-factory-artifacts-'));
let database: TestPostgres;
let service: Service;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  database = await startTestPostgres();
});

afterAll(async () => {
  await database.stop();
  await rm(artifactDir, { recursive: true });
});

async function start(): Promise<void> {
  const settings = { ROLES: 'api', ARTIFACT_DIR: artifactDir, SHUTDOWN_GRACE_SECONDS: '300' };
  service = await Service.start({ databaseUrl: database.url, settings });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: 'https://git.example.com/hello.git' });
}

const url = (path: string): string => `${service.url}/api/v1${path}`;

/** A connection that does nothing, or sends this and then nothing. */
async function connect(bytes = ''): Promise<net.Socket> {
  const socket = net.connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

/** Sends the signal, and waits until the process takes no more connections. */
async function stopListening(): Promise<{ readonly ended: Promise<number | string>; readonly at: number }> {
  const at = performance.now();
  const ended = service.end('SIGTERM');
  await waitUntil(async () => {
    const socket = net.connect(Number(new URL(service.url).port), '127.0.0.1');
    // Rejects with the error when nobody listens.
    const isRefused = await once(socket, 'connect').then(
      () => false,
      () => true,
    );
    socket.destroy();
    return isRefused;
  });
  return { ended, at };
}

/** A build with an image archive of zeros, as a worker would have left it. */
async function builtArchive(): Promise<string> {
  const { id } = await tenant.create(project, { branch: 'main' });
  const file = path.join(artifactDir, `${id}.tar`);
  writeFileSync(file, '');
  truncateSync(file, archiveBytes);
  await service.sql(`UPDATE builds SET status = 'success', image_archive = $2, completed_at = now() WHERE id = $1`, [
    id,
    `${id}.tar`,
  ]);
  return id;
}

describe('SIGTERM to an API process with requests under way', () => {
  const name = `slow ${randomUUID()}`;
  let waiting: BuildDto;
  let answers: { readonly body: Answer; readonly lock: Answer; readonly download: Answer };
  let quiet: net.Socket[];
  let streams: LogClient[];
  let exit: number | string;

  beforeAll(async () => {
    await start();
    waiting = await tenant.create(project, { branch: 'main' });
    quiet = [await connect(), await connect('GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n')];
    await Promise.all(quiet.slice(1).map((socket) => once(socket, 'data')));
    streams = [await tenant.follow(waiting.id), await tenant.follow(waiting.id)];
    streams[1]?.socket.pause();
    const projects = { name, repository_url: 'https://git.example.com/slow.git' };
    const body = await SlowRequest.post(url('/projects'), tenant.caller.token, projects);
    const download = await SlowRequest.get(url(`/builds/${await builtArchive()}/image`), tenant.caller.token);

    const other = new Client({ connectionString: database.adminUrl });
    await other.connect();
    await other.query('BEGIN');
    await other.query('SELECT 1 FROM builds WHERE id = $1 FOR UPDATE', [waiting.id]);
    const lock = tenant.caller.post(`/builds/${waiting.id}/start`);
    lock.catch(() => undefined);
    await waitUntil(async () => {
      const locked = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return (await other.query(locked)).rowCount === 1;
    });
    const { ended } = await stopListening();
    await other.query('COMMIT');
    await other.end();
    answers = { lock: await lock, body: await body.finish(), download: await download.finish() };
    exit = await ended;
  });

  afterAll(async () => {
    streams[1]?.socket.terminate();
    await service.stop();
  });

  it('answers the one whose body was still coming, as the last of its connection', async () => {
    expect([answers.body.status, answers.body.headers.get('connection')]).toEqual([201, 'close']);
    expect(await service.sql('SELECT name FROM projects WHERE name = $1', [name])).toHaveLength(1);
  });

  it('answers the write that waited for a row, and did what it says', async () => {
    const [row] = await service.sql('SELECT status FROM builds WHERE id = $1', [waiting.id]);
    // On a busy machine it may have waited too long for the row; then it says so.
    expect([
      [200, { status: 'in_progress' }],
      [503, { status: 'queued' }],
    ]).toContainEqual([answers.lock.status, row]);
  });

  it('lets the download be read to its end', () => {
    expect([answers.download.status, answers.download.text.length]).toEqual([200, archiveBytes]);
  });

  it('closes the connections on which nothing was asked', async () => {
    await waitUntil(() => quiet.every((socket) => socket.closed));
  });

  it('closes streams with 1001, and is not held up by a frozen client', async () => {
    expect(await streams[0]?.closed).toMatchObject({ code: 1001 });
  });

  it('exits with 0', () => {
    expect(exit).toBe(0);
  });
});

describe('SIGTERM to an API process with a request that does not come to its end', () => {
  let stuck: SlowRequest;
  let beginning: net.Socket;

  beforeEach(async () => {
    await start();
    stuck = await SlowRequest.post(url('/projects'), tenant.caller.token, { name: 'stuck' });
    beginning = await connect('GET /health/live HT');
  });

  afterEach(async () => {
    beginning.destroy();
    await service.stop();
  });

  it('waits 10 s for it, and not more', async () => {
    const { ended, at } = await stopListening();
    expect(await ended).toBe(0);
    expect(performance.now() - at).toBeGreaterThan(drainMs - 100);
    expect(await stuck.isAnswered()).toBe(false);
    expect(await service.sql(`SELECT 1 FROM projects WHERE name = 'stuck'`)).toEqual([]);
  });

  it('waits no longer after a second signal', async () => {
    const { ended, at } = await stopListening();
    // A second signal within a second of the first counts as the same.
    await waitUntil(() => performance.now() - at > 1_200);
    process.kill(service.pid, 'SIGINT');
    expect(await ended).toBe(0);
    expect(performance.now() - at).toBeLessThan(drainMs);
    expect(await stuck.isAnswered()).toBe(false);
  });
});
