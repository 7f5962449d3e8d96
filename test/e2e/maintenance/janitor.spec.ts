import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';
import type { BuildLogsDto } from '../../../src/build-logs/build-logs.dto';
import type { BuildDto } from '../../../src/builds/build.dto';
import { ENV, type Env } from '../../../src/config/env';
import { Janitor } from '../../../src/maintenance/janitor';
import type { BuildRow } from '../../factories/build.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { waitUntil } from '../../support/wait-until';

const janitorLock = `hashtext('image-factory janitor')`;
let api: Api;
let world: World;
let store: string;

beforeAll(async () => {
  api = await Api.start({ ARCHIVE_RETENTION_DAYS: '30', LOG_RETENTION_DAYS: '7' });
  world = await World.make(api);
  store = api.app.get<Env>(ENV).ARTIFACT_DIR;
  await mark();
});

afterAll(() => api.stop());

/** Marks the store as the first worker of this installation does. */
async function mark(): Promise<void> {
  const [installation] = await api.sql<{ id: string }>('SELECT id FROM installation');
  await writeFile(at('.image-factory-store'), `${installation?.id ?? ''}\n`);
}

const work = (): Promise<void> => api.app.get(Janitor, { strict: false }).work();
/** Rounds until something is done: what held the lock may be ending yet. */
const worked = (isDone: () => boolean): Promise<void> => waitUntil(() => work().then(isDone));
const at = (name: string): string => path.join(store, name);

/** A build that succeeded so many days ago, with an archive of these bytes. */
async function built(daysAgo: number, archive: string | Buffer = 'an archive'): Promise<BuildRow> {
  const id = randomUUID();
  const completed_at = new Date(Date.now() - daysAgo * 24 * 3_600_000);
  const values = { id, status: 'success', image_archive: `${id}.tar`, image_digest: 'sha256:1', completed_at } as const;
  const build = await world.build(values, 'a line', 'another');
  // The application's own rounds go on: a file without a build would be an orphan.
  await writeFile(at(`${id}.tar`), archive);
  return build;
}

const image = (build: BuildRow): Promise<Response> =>
  fetch(`${api.url}/api/v1/builds/${build.id}/image`, {
    headers: { Authorization: `Bearer ${world.caller.token ?? ''}` },
  });

/** A session of its own that holds the janitors' lock until it ends. */
async function holdLock(): Promise<Client> {
  const client = new Client({ connectionString: api.app.get<Env>(ENV).DATABASE_URL });
  await client.connect();
  await client.query(`SELECT pg_advisory_lock(${janitorLock})`);
  return client;
}

describe('ARCHIVE_RETENTION_DAYS', () => {
  it('removes the archives of older builds, says so, and keeps the builds', async () => {
    const [old, young] = [await built(31), await built(29)];
    const before = (await world.caller.get<BuildDto>(`/builds/${old.id}`)).expect(200);
    await work();
    expect([existsSync(at(`${old.id}.tar`)), existsSync(at(`${young.id}.tar`))]).toEqual([false, true]);
    const answer = await image(old);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: 'The image archive was removed after 30 days' });
    expect((await world.caller.get(`/builds/${old.id}`)).body).toEqual(before);
    expect((await image(young)).status).toBe(200);
  });

  it('lets a download that is under way go on to its end', async () => {
    const archive = Buffer.alloc(64 * 1_024 * 1_024, randomUUID());
    const old = await built(29, archive);
    const reader = (await image(old)).body?.getReader();
    const hash = createHash('sha256');
    const isMore = async (): Promise<boolean> => {
      const part: unknown = (await reader?.read())?.value;
      if (part instanceof Uint8Array) hash.update(part);
      return part !== undefined;
    };
    expect(await isMore()).toBe(true);
    await api.sql(`UPDATE builds SET completed_at = now() - interval '31 days' WHERE id = $1`, [old.id]);
    await work();
    expect(existsSync(at(`${old.id}.tar`))).toBe(false);
    while (await isMore());
    expect(hash.digest('hex')).toBe(createHash('sha256').update(archive).digest('hex'));
  });
});

describe('LOG_RETENTION_DAYS', () => {
  it('removes the lines of older logs and keeps the builds', async () => {
    const build = await built(1);
    await api.sql(`UPDATE build_logs SET closed_at = now() - interval '8 days' WHERE build_id = $1`, [build.id]);
    await work();
    const { logs, total_lines } = (await world.caller.get<BuildLogsDto>(`/builds/${build.id}/logs`)).expect(200);
    expect([logs.map(({ message }) => message), total_lines]).toEqual([['The log was removed after 7 days'], 1]);
    expect((await world.caller.get(`/builds/${build.id}`)).status).toBe(200);
  });
});

describe('orphans in the artifact store', () => {
  it('are the archives and parts of archives that no build owns, and nothing else', async () => {
    const lease = {
      lease_token: randomUUID(),
      lease_expires_at: new Date(Date.now() + 600_000),
      claimed_at: new Date(),
    };
    const running = await world.build({ status: 'in_progress', ...lease });
    const [owner, failed] = [await built(1), await world.build({ status: 'failed' })];
    const part = (id: string): string => `.${id}.tar.${randomUUID()}.part`;
    const keeps = [
      ...[`${owner.id}.tar`, `${running.id}.tar`, part(running.id)],
      ...['notes.txt', 'backup.tar', '.image-factory-store', `${randomUUID()}.tar.gz`],
    ];
    const orphans = [`${failed.id}.tar`, part(failed.id), part(owner.id), `${randomUUID()}.tar`, part(randomUUID())];
    for (const name of [...keeps, ...orphans]) if (!existsSync(at(name))) await writeFile(at(name), 'x');
    await work();
    const left = await readdir(store);
    expect(left.filter((name) => orphans.includes(name))).toEqual([]);
    expect(left).toEqual(expect.arrayContaining(keeps));
  });

  it('are all found among many more files than are looked at together', async () => {
    const orphans = Array.from({ length: 1_300 }, () => `${randomUUID()}.tar`);
    for (const name of orphans) await writeFile(at(name), '');
    const kept = await built(1);
    await work();
    const left = await readdir(store);
    expect(left.filter((name) => orphans.includes(name))).toEqual([]);
    expect(left).toContain(`${kept.id}.tar`);
  });

  it('are left alone while the mark of the installation is not in the directory', async () => {
    const orphan = `${randomUUID()}.tar`;
    await writeFile(at('.image-factory-store'), `${randomUUID()}\n`);
    await writeFile(at(orphan), 'x');
    await work();
    expect(existsSync(at(orphan))).toBe(true);
    await mark();
    await work();
    expect(existsSync(at(orphan))).toBe(false);
  });
});

describe('what limits on sign-ins remember', () => {
  it('is forgotten once it is too old to count', async () => {
    const [old, young] = [randomUUID(), randomUUID()];
    await api.sql(
      `INSERT INTO known_clients (account, client, seen_at)
       VALUES ($1, '192.0.2.1', now() - interval '31 days'), ($2, '192.0.2.1', now() - interval '29 days')`,
      [old, young],
    );
    await work();
    const left = await api.sql('SELECT account FROM known_clients WHERE account IN ($1, $2)', [old, young]);
    expect(left).toEqual([{ account: young }]);
  });
});

describe('janitors', () => {
  it('work one at a time, and one that is killed holds nobody up', async () => {
    const other = await holdLock();
    const [old, deleted] = [await built(31), await built(1)];
    (await world.caller.delete(`/builds/${deleted.id}`)).expect(204);
    const orphan = `${randomUUID()}.tar`;
    await writeFile(at(orphan), 'x');
    await work();
    for (const name of [`${old.id}.tar`, `${deleted.id}.tar`, orphan]) expect(existsSync(at(name))).toBe(true);
    // The connection of a killed process ends as this one does.
    await other.end();
    await worked(() => [`${old.id}.tar`, `${deleted.id}.tar`, orphan].every((name) => !existsSync(at(name))));
    expect(await api.sql('SELECT id FROM builds WHERE id = $1', [deleted.id])).toEqual([]);
  });

  it('go on with everything else when one thing fails', async () => {
    const preparing = await holdLock();
    const [old, deleted] = [await built(31), await built(1)];
    (await world.caller.delete(`/builds/${deleted.id}`)).expect(204);
    const orphan = `${randomUUID()}.tar`;
    // What cannot be unlinked.
    await rm(at(`${old.id}.tar`));
    await mkdir(at(`${old.id}.tar`));
    await writeFile(at(orphan), 'x');
    await preparing.end();
    await worked(() => !existsSync(at(`${deleted.id}.tar`)) && !existsSync(at(orphan)));
    expect((await image(old)).status).toBe(404);
    const [log] = await api.sql(
      'SELECT compacted_at FROM build_logs WHERE build_id = $1 AND compacted_at IS NOT NULL',
      [old.id],
    );
    expect(log).toBeDefined();
    await rm(at(`${old.id}.tar`), { recursive: true });
  });
});
