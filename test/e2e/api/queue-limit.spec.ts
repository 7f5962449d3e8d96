import type { BuildDto } from '../../../src/builds/build.dto';
import type { BuildLogsDto } from '../../../src/build-logs/build-logs.dto';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { waitUntil } from '../../support/wait-until';

describe('a started build that no worker takes', () => {
  let api: Api;
  let world: World;

  beforeAll(async () => {
    api = await Api.start({ QUEUE_TTL_SECONDS: '1', LEASE_SECONDS: '3' });
    world = await World.make(api);
  });

  afterAll(async () => {
    await api.stop();
  });

  const request = () => ({ project_id: world.project.id, git_branch: 'main' });

  it('fails after QUEUE_TTL_SECONDS with the limit named, and its log is closed; one that is queued waits for ever', async () => {
    const waiting = (await world.caller.post<BuildDto>('/builds', request())).expect(201);
    const started = (await world.caller.post<BuildDto>('/builds', request())).expect(201);
    (await world.caller.post(`/builds/${started.id}/start`)).expect(200);
    const read = async () => (await world.caller.get<BuildDto>(`/builds/${started.id}`)).expect(200);
    await waitUntil(async () => (await read()).status !== 'in_progress');

    const message = 'No worker took the build within its limit of 1 seconds (QUEUE_TTL_SECONDS)';
    expect(await read()).toMatchObject({
      status: 'failed',
      error_message: message,
      completed_at: expect.any(String) as string,
    });
    const { logs } = (await world.caller.get<BuildLogsDto>(`/builds/${started.id}/logs`)).expect(200);
    expect(logs.at(-1)).toMatchObject({ level: 'ERROR', message: `Build failed: ${message}` });
    expect(await api.sql('SELECT outcome FROM build_logs WHERE build_id = $1', [started.id])).toEqual([
      { outcome: 'failed' },
    ]);
    expect((await world.caller.get<BuildDto>(`/builds/${waiting.id}`)).expect(200).status).toBe('queued');
  });
});
