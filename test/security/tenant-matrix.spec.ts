import { randomBytes, randomUUID } from 'node:crypto';
import { KeyOwner, keyWish } from '../factories/key-owner';
import { UserFactory } from '../factories/user.factory';
import { World } from '../factories/world';
import { Api, tenantPermissions } from '../support/api';
import { type Answer, Caller } from '../support/caller';
import { OidcIssuer } from '../support/oidc-issuer';
import { listOf, type Operation, operationsOf, resolved, type Tree, treeAt } from '../support/openapi/document';
import { askUpgrade } from '../support/upgrade';

/** Every text of the other tenant carries it. */
const canary = `canary${randomUUID().replaceAll('-', '')}`;
let issuer: OidcIssuer;
let api: Api;
let document: Tree;
let other: World;
/** Ids of the other tenant, by the first word of the path. */
const foreign = new Map<string, string>();
const callers = new Map<string, Caller>();

beforeAll(async () => {
  issuer = await OidcIssuer.start();
  const settings = { OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: 'image-factory-api' };
  api = await Api.start({ ...settings, SECRETS_KEY: randomBytes(32).toString('hex') });
  document = resolved(treeAt(await (await fetch(`${api.url}/api/openapi.json`)).json()));
  const mine = await World.make(api);
  const owner = await KeyOwner.make(mine, 'admin');
  const { key } = await owner.key(...tenantPermissions);
  const outside = issuer.token({ tenant_id: mine.tenantId, permissions: tenantPermissions });
  callers.set('an access token', owner.caller);
  callers.set('an API key', new Caller(api.url, key));
  callers.set('a token of the outside issuer', new Caller(api.url, outside));
  await furnish();
});

afterAll(async () => {
  await api.stop();
  await issuer.down();
});

/** Gives the other tenant one of everything. */
async function furnish(): Promise<void> {
  other = await World.make(api);
  const { id: project } = await other.otherProject({ name: canary });
  const owner = await KeyOwner.make(other, 'admin', { name: canary });
  const user = await UserFactory.from(api, other.tenantId, { name: canary }).build();
  const key = await owner.caller.post<{ id: string }>('/api-keys', keyWish({ name: canary }));
  (await owner.caller.send('PUT', `/projects/${project}/secrets/${canary}`, { value: canary })).expect(204);
  const build = await other.build({ status: 'failed', image_archive: 'x.tar', git_branch: canary }, canary);
  foreign.set('projects', project).set('users', user.id).set('api-keys', key.expect(201).id);
  // Of the audit log. What was asked for by its path is there: the reader's own request was refused.
  foreign.set('resources', (await other.build()).id);
  foreign.set('builds', build.id).set('tenants', other.tenantId);
}

/** An answer without what differs from one request to the next, the ids that were asked for among it. */
function bare({ status, headers, text }: Answer, asked: Iterable<string> = []): unknown {
  const plain = [...asked].reduce((left, id) => left.replaceAll(id, 'the id'), text);
  const body = plain.replace(/"timestamp":"[^"]+"/, '').replace(/"trace_id":"[^"]+"/, '');
  const kept = [...headers].filter(([name]) => !/^(?:date|x-request-id|x-ratelimit-.*)$/.test(name));
  return { status, body, headers: kept };
}

/** A body that the operation takes, by the examples of the document. */
function bodyOf({ docs }: Operation): Record<string, unknown> | undefined {
  const content = treeAt(docs.requestBody, 'content', 'application/json');
  if (Object.keys(content).length === 0) return undefined;
  const schema = treeAt(content.schema);
  const examples = Object.entries(treeAt(schema.properties)).flatMap(([name, property]) => {
    const { example = listOf(schema.required).includes(name) ? 'main' : undefined } = treeAt(property);
    const pairs: [string, unknown][] = example === undefined ? [] : [[name, example]];
    return pairs;
  });
  return { ...Object.fromEntries(examples), ...treeAt(schema.example), ...treeAt(content.example) };
}

/** Fields of the body and parameters of the query that name something by its id, with the kind of that. */
function idsNamedBy(operation: Operation): { readonly fields: string[]; readonly parameters: string[] } {
  const properties = treeAt(operation.docs.requestBody, 'content', 'application/json', 'schema', 'properties');
  const isId = (schema: unknown): boolean => treeAt(schema).format === 'uuid';
  return {
    fields: Object.keys(properties).filter((name) => isId(properties[name])),
    parameters: listOf(operation.docs.parameters)
      .map((parameter) => treeAt(parameter))
      .filter((parameter) => parameter.in === 'query' && isId(parameter.schema))
      .map(({ name }) => String(name)),
  };
}

/** `project_id` names one of the projects; who acted is a user. */
const kindOfField = (name: string): string => (name === 'actor_id' ? 'users' : `${name.replace(/_id$/, '')}s`);

const kindsNamedBy = (operation: Operation): string[] => {
  const { fields, parameters } = idsNamedBy(operation);
  const ofPath = operation.path.includes('{id}') ? [operation.path.split('/')[1] ?? ''] : [];
  return [...ofPath, ...[...fields, ...parameters].map(kindOfField)];
};

/** Asks an operation, with ids of the other tenant or with ones that nobody has. */
function ask(caller: Caller, operation: Operation, idOf: (kind: string) => string): Promise<Answer> {
  const { fields, parameters } = idsNamedBy(operation);
  const kind = operation.path.split('/')[1] ?? '';
  const path = operation.path.replace('{id}', idOf(kind)).replace(/\{\w+\}/g, canary);
  const search = new URLSearchParams(
    parameters.map((name): [string, string] => [name, idOf(kindOfField(name))]),
  ).toString();
  const ids = Object.fromEntries(fields.map((name) => [name, idOf(kindOfField(name))]));
  const body = bodyOf(operation);
  return caller.send(
    operation.method,
    search === '' ? path : `${path}?${search}`,
    body === undefined ? undefined : { ...body, ...ids },
  );
}

const foreignId = (kind: string): string => foreign.get(kind) ?? randomUUID();

/** All rows of the other tenant. */
async function rows(): Promise<object> {
  const tables = ['projects', 'builds', 'users', 'api_keys', 'project_secrets', 'audit_events', 'tenants'];
  const found = tables.map((table) =>
    api.sql(`SELECT * FROM ${table} WHERE ${table === 'tenants' ? 'id' : 'tenant_id'} = $1 ORDER BY 1, 2`, [
      other.tenantId,
    ]),
  );
  return Promise.all(found);
}

const ways = ['an access token', 'an API key', 'a token of the outside issuer'];

const callerBy = (way: string): Caller => callers.get(way) ?? api.anonymous;

// First: later the audit log tells what was asked for here.
describe('no operation that reads shows a word or an id of another tenant', () => {
  it.each(ways)('by %s', async (way) => {
    const reading = operationsOf(document).filter(({ method, path }) => method === 'GET' && !path.includes('{'));
    expect(reading.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['listBuilds', 'listProjects', 'listUsers', 'listAuditEvents']),
    );
    const hidden = [canary, other.project.id, ...foreign.values()];
    for (const { id, path } of reading.filter((one) => !one.path.startsWith('/health/'))) {
      const { text, status } = await callerBy(way).get(path);
      expect([id, [200, 403]]).toEqual([id, expect.arrayContaining([status])]);
      expect([id, hidden.filter((what) => text.includes(what))]).toEqual([id, []]);
    }
  });
});

describe('every operation that names something answers for what is another tenant’s as for what is not there', () => {
  it.each(ways)('by %s', async (way) => {
    const naming = operationsOf(document).filter((operation) => kindsNamedBy(operation).length > 0);
    expect(naming.length).toBeGreaterThanOrEqual(20);
    const before = await rows();
    for (const operation of naming) {
      // Else the test would compare two ids that nobody has.
      expect([operation.id, kindsNamedBy(operation).filter((kind) => !foreign.has(kind))]).toEqual([operation.id, []]);
      const answer = await ask(callerBy(way), operation, foreignId);
      // The stream wants to be upgraded before it looks; the lists are empty.
      const expected =
        operation.id === 'streamBuildLogs' ? [400] : operation.path.includes('{') ? [403, 404] : [200, 403];
      expect([operation.id, expected]).toEqual([operation.id, expect.arrayContaining([answer.status])]);
      const nobodys = randomUUID();
      const absent = await ask(callerBy(way), operation, () => nobodys);
      expect([operation.id, bare(answer, foreign.values())]).toEqual([operation.id, bare(absent, [nobodys])]);
    }
    expect(await rows()).toEqual(before);
  });

  it.each(ways)('at the WebSocket, by %s', async (way) => {
    const knock = (id: string): Promise<Answer> =>
      askUpgrade(api.port, `/api/v1/builds/${id}/logs/stream`, {
        Authorization: `Bearer ${callerBy(way).token ?? ''}`,
      });
    const answer = await knock(foreignId('builds'));
    expect(answer.status).toBe(404);
    expect(bare(answer)).toEqual(bare(await knock(randomUUID())));
  });
});
