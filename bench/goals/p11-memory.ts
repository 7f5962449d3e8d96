import { BuildRepository } from '../../test/support/build-repository';
import { waitUntil } from '../../test/support/wait-until';
import type { Check, Goal } from '../harness/goal';
import { IdleClients } from '../harness/idle-clients';
import { Installation } from '../harness/installation';
import { memoryWhile } from '../harness/memory-watch';
import { Series } from '../harness/series';
import { ServerProcess } from '../harness/server-process';

const lateMs = 1_800_000;

/** Clients of one server that has nothing to send them; what it holds from the moment when all are connected. */
async function memoryOfIdle(pid: number, url: string, clients: number, seconds: number, token = ''): Promise<Series> {
  const idle = await IdleClients.open({ url, clients, token });
  try {
    const end = performance.now() + seconds * 1_000;
    return new Series(await memoryWhile(pid, () => performance.now() < end));
  } finally {
    await idle.close();
  }
}

/** With pings and new looks at the credentials, of which each takes memory. */
async function idleSockets(isQuick: boolean): Promise<Check> {
  const [clients, seconds] = isQuick ? [2_000, 1] : [10_000, 65];
  const floor = await ServerProcess.floor('idle-sockets');
  const bare = await memoryOfIdle(floor.pid, floor.url, clients, isQuick ? 1 : 25).finally(() => floor.stop());
  const installation = await Installation.open({ MAX_STREAMS_PER_TENANT: String(clients) });
  try {
    const { service, tenant, token } = installation;
    const { id } = await tenant.create(await installation.project(), { branch: 'main' });
    const url = `${service.url.replace('http', 'ws')}/api/v1/builds/${id}/logs/stream`;
    const ours = await memoryOfIdle(service.pid, url, clients, seconds, token);
    return {
      name: `${clients.toLocaleString('en')} idle sockets, at most (a bare ws server: ${Math.round(bare.most)} MB)`,
      unit: 'MB',
      ours,
      floor: null,
      ratio: new Series([ours.most]),
      bound: { most: 300 },
    };
  } finally {
    await installation.close();
  }
}

/** A real build that prints all the time, and the process that runs it and writes its log. */
async function longBuild(isQuick: boolean): Promise<Check> {
  const million = isQuick ? 150_000 : 1_000_000;
  const lines = isQuick ? 4 * million : 10 * million;
  const repository = new BuildRepository();
  const line = String.raw`"#%d CC objects/%032d.o -> libcore.a\n", n % 97, n`;
  repository.script('main', `RUN awk 'BEGIN { for (n = 0; n < ${lines}; n++) printf ${line} }'`);
  const settings = { ...repository.settings, ROLES: 'api,worker', MAX_LOG_BYTES: '1000000000000' };
  const installation = await Installation.open(settings);
  try {
    const { postgres, service, tenant } = installation;
    const project = await tenant.project({ repository_url: repository.git.url });
    const { id } = await tenant.begin(project, { branch: 'main' });
    /** Whether it has, or has this many lines. */
    const hasEnded = async (least: number | null): Promise<boolean> => {
      const statement = 'SELECT 1 FROM build_logs WHERE build_id = $1 AND (total_lines >= $2 OR closed_at IS NOT NULL)';
      return (await postgres.sql(statement, [id, least])).length > 0;
    };
    await waitUntil(() => hasEnded(million), lateMs);
    const before = await memoryWhile(service.pid, async () => !(await hasEnded(2 * million)));
    const after = await memoryWhile(service.pid, async () => !(await hasEnded(null)));
    const { status } = await tenant.build(id);
    if (status !== 'success') throw new Error(`The build that printed ${lines} lines ended with ${status}`);
    const { median } = new Series(before);
    const all = new Series([...before, ...after]);
    const ours = new Series([Math.max(all.most - median, median - all.least)]);
    const [from, to, middle] = [all.least, all.most, median].map(Math.round);
    return {
      name: `${lines.toLocaleString('en')} lines written (${from}–${to} MB), farthest from the level at first (${middle} MB)`,
      unit: 'MB',
      ours,
      floor: null,
      ratio: ours,
      bound: { most: 20 },
    };
  } finally {
    await installation.close();
    repository.remove();
  }
}

export const memory: Goal = {
  id: 'P11',
  title: 'Memory of idle sockets, and of a long log',
  async measure({ isQuick }) {
    return [await idleSockets(isQuick), await longBuild(isQuick)];
  },
};
