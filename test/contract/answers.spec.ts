import { randomUUID } from 'node:crypto';
import type { BuildStatus } from '../../src/builds/build-state';
import { World } from '../factories/world';
import { Api } from '../support/api';
import type { Answer, Caller } from '../support/caller';
import { contract, type Operation, operationsOf, treeAt } from '../support/openapi/document';
import { problemsBy } from '../support/openapi/validator';
import { askUpgrade } from '../support/upgrade';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, 'X-Request-Id': 'from-the-client' };

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

/** Sends a request of one operation: to a build, unless it is about all of them. */
type Send = (caller: Caller, id: string, body?: unknown) => Promise<Answer>;

const toStream: Send = (caller, id) =>
  askUpgrade(api.port, `/api/v1/builds/${id}/logs/stream`, {
    ...headers,
    ...(caller.token === null ? {} : { Authorization: `Bearer ${caller.token}` }),
  });

const send: Readonly<Record<string, Send>> = {
  createBuild: (caller, _, body) =>
    caller.post('/builds', body ?? { project_id: world.project.id, git_branch: 'main' }, headers),
  listBuilds: (caller) => caller.get('/builds', headers),
  getBuild: (caller, id) => caller.get(`/builds/${id}`, headers),
  deleteBuild: (caller, id) => caller.delete(`/builds/${id}`, headers),
  startBuild: (caller, id) => caller.post(`/builds/${id}/start`, undefined, headers),
  cancelBuild: (caller, id) => caller.post(`/builds/${id}/cancel`, { reason: 'Wrong branch' }, headers),
  retryBuild: (caller, id) => caller.post(`/builds/${id}/retry`, undefined, headers),
  getBuildStatus: (caller, id) => caller.get(`/builds/${id}/status`, headers),
  getBuildLogs: (caller, id) => caller.get(`/builds/${id}/logs`, headers),
  streamBuildLogs: toStream,
};

/** The status from which an operation succeeds. */
const ready: Readonly<Record<string, BuildStatus>> = {
  startBuild: 'queued',
  cancelBuild: 'in_progress',
  retryBuild: 'failed',
  getBuildStatus: 'in_progress',
};

/** What must be taken away from the database for an operation to fail by no fault of the client. */
const neededTable = (id: string): string => (id.endsWith('Logs') ? 'build_logs' : 'builds');

async function withoutTable(table: string, request: () => Promise<Answer>): Promise<Answer> {
  await api.sql(`ALTER TABLE ${table} RENAME TO hidden`);
  try {
    return await request();
  } finally {
    await api.sql(`ALTER TABLE hidden RENAME TO ${table}`);
  }
}

async function succeed(id: string, request: Send): Promise<Answer> {
  const build = await world.build({ status: ready[id] ?? 'success' }, 'a first line', 'a second line');
  return request(world.caller, build.id);
}

/** How each status of the contract comes about. */
const produce: Readonly<Record<string, (id: string, request: Send) => Promise<Answer>>> = {
  101: succeed,
  200: succeed,
  201: succeed,
  204: succeed,
  400: (id, request) => {
    if (id === 'createBuild') return request(world.caller, '', { project_id: 'none', git_branch: '' });
    if (id === 'listBuilds') return world.caller.get('/builds?page=0&status=done', headers);
    return request(world.caller, 'not-a-uuid');
  },
  401: (_, request) => request(api.anonymous, randomUUID()),
  403: (_, request) => request(world.with('project:read'), randomUUID()),
  404: (_, request) => request(world.caller, randomUUID()),
  409: async (id, request) => {
    if (id !== 'createBuild') return request(world.caller, (await world.build({ status: 'success' })).id);
    const key = { ...headers, 'Idempotency-Key': randomUUID() };
    await world.caller.post('/builds', { project_id: world.project.id, git_branch: 'main' }, key);
    return world.caller.post('/builds', { project_id: world.project.id, git_branch: 'other' }, key);
  },
  500: async (id, request) => {
    const build = await world.build();
    return withoutTable(neededTable(id), () => request(world.caller, build.id));
  },
};

const codes: Readonly<Record<string, string>> = {
  400: 'INVALID_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
  500: 'INTERNAL_SERVER_ERROR',
};

const documented = operationsOf(contract).flatMap((operation) =>
  Object.keys(treeAt(operation.docs, 'responses')).map((status): [id: string, status: string, Operation] => [
    operation.id,
    status,
    operation,
  ]),
);

/** DELETE works here, so that its 501 cannot come. */
const impossible = new Set(['deleteBuild 501']);
const possible = documented.filter(([id, status]) => !impossible.has(`${id} ${status}`));

describe('each answer that the contract documents is given, as the contract describes it', () => {
  it.each(possible)('%s %s', async (id, status, { docs }) => {
    const request = send[id];
    const how = produce[status];
    if (request === undefined || how === undefined) throw new Error(`Nothing here produces ${id} ${status}`);
    const answer = await how(id, request);

    expect({ status: answer.status, body: answer.text }).toMatchObject({ status: Number(status) });
    const media = treeAt(docs, 'responses', status, 'content', 'application/json');
    if (media.schema === undefined) expect(answer.text).toBe('');
    else expect(problemsBy(treeAt(media.schema), answer.body)).toEqual([]);
    if (status === '101') return;

    expect(answer.headers.get('X-Request-Id')).toBe('from-the-client');
    if (answer.text !== '') expect(answer.headers.get('Content-Type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('WWW-Authenticate')).toBe(status === '401' ? 'Bearer' : null);
    if (answer.status < 400) return;
    expect(answer.error).toMatchObject({ code: codes[status], trace_id: traceId });
    if (status === '400') expect(answer.error.details).not.toBeNull();
    if (status === '500') expect(answer.error.error).toBe('Internal server error');
  });
});

describe('beside the contract', () => {
  it('a plain GET of the stream is 400, and a list without its permission is 403', async () => {
    const { id } = await world.build();
    expect((await world.caller.get(`/builds/${id}/logs/stream`)).status).toBe(400);
    expect((await world.with('build:read').get('/builds')).status).toBe(403);
  });

  it('every field of a success is there, also where it has no value', async () => {
    const { id } = await world.build();
    const answers: [string, Answer][] = [
      ['getBuild', await world.caller.get(`/builds/${id}`)],
      ['listBuilds', await world.caller.get('/builds')],
      ['getBuildStatus', await world.caller.get(`/builds/${id}/status`)],
      ['getBuildLogs', await world.caller.get(`/builds/${id}/logs`)],
    ];
    for (const [operation, answer] of answers) {
      const docs = operationsOf(contract).find((one) => one.id === operation)?.docs;
      const schema = treeAt(docs, 'responses', '200', 'content', 'application/json', 'schema');
      expect(Object.keys(treeAt(answer.body))).toEqual(
        expect.arrayContaining(Object.keys(treeAt(schema, 'properties'))),
      );
    }
  });
});
