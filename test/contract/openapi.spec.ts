import { parse } from 'yaml';
import { Api } from '../support/api';
import { contract, listOf, operationsOf, resolved, securityOf, type Tree, treeAt } from '../support/openapi/document';
import { problemsBy } from '../support/openapi/validator';
import { deviations } from './compare';

let api: Api;
let text: string;
let ours: Tree;

beforeAll(async () => {
  api = await Api.start();
  text = await fetched('/api/openapi.json');
  ours = resolved(treeAt(JSON.parse(text)));
});

afterAll(async () => {
  await api.stop();
});

async function fetched(path: string): Promise<string> {
  const response = await fetch(api.url + path);
  expect(response.status).toBe(200);
  return response.text();
}

describe('the document that the service generates', () => {
  it('has all that the contract promises, and nothing else in its place', () => {
    expect(deviations(contract, ours)).toEqual([]);
  });

  it('is the same as YAML', async () => {
    expect(parse(await fetched('/api/openapi.yaml'))).toEqual(JSON.parse(text));
  });

  it('is shown by Swagger UI, which keeps the token over a reload', async () => {
    expect(await fetched('/api/docs')).toContain('id="swagger-ui"');
    expect(await fetched('/api/docs/swagger-ui-init.js')).toMatch(/"persistAuthorization": true/);
    expect(await fetched('/api/docs/swagger-ui-bundle.js')).toContain('SwaggerUIBundle');
  });
});

/** Ways to break a promise: where in the document, and what stands there afterwards; `undefined` takes it away. */
const createBuild = ['paths', '/builds', 'post'];
const listBuilds = ['paths', '/builds', 'get'];
const created = [...createBuild, 'responses', '201', 'content', 'application/json'];
const listed = [...listBuilds, 'responses', '200', 'content', 'application/json'];
const asked = [...createBuild, 'requestBody', 'content', 'application/json'];
const mutations: readonly (readonly [place: readonly string[], value: unknown])[] = [
  [['paths', '/builds/{id}/retry'], undefined],
  [['paths', '/builds/{id}', 'delete'], undefined],
  [[...createBuild, 'operationId'], 'makeBuild'],
  [[...createBuild, 'summary'], 'Make a build'],
  [[...createBuild, 'tags'], ['Projects']],
  [[...createBuild, 'security'], []],
  [[...createBuild, 'requestBody', 'required'], false],
  [[...createBuild, 'requestBody', 'content'], { 'text/plain': {} }],
  [['paths', '/builds/{id}/start', 'post', 'requestBody'], { required: true, content: {} }],
  [[...asked, 'examples', 'basic'], undefined],
  [[...asked, 'examples', 'basic', 'value', 'git_branch'], 'master'],
  [[...asked, 'schema', 'required'], ['project_id']],
  [
    [...asked, 'schema', 'required'],
    ['project_id', 'git_branch', 'git_commit'],
  ],
  [[...asked, 'schema', 'properties', 'git_branch', 'maxLength'], 250],
  [[...asked, 'schema', 'properties', 'git_branch', 'pattern'], '^m'],
  [[...asked, 'schema', 'properties', 'git_commit', 'minLength'], undefined],
  [[...asked, 'schema', 'properties', 'git_commit', 'nullable'], undefined],
  [[...asked, 'schema', 'properties', 'build_args', 'additionalProperties'], undefined],
  [[...asked, 'schema', 'properties', 'build_args', 'additionalProperties', 'type'], 'number'],
  [[...asked, 'schema', 'additionalProperties'], false],
  [[...created, 'example', 'status'], 'in_progress'],
  [[...created, 'schema', 'properties', 'build_number', 'type'], 'number'],
  [[...created, 'schema', 'properties', 'build_number', 'minimum'], 1],
  [[...created, 'schema', 'properties', 'id', 'format'], undefined],
  [[...created, 'schema', 'properties', 'error_message'], undefined],
  [
    [...created, 'schema', 'properties', 'status', 'enum'],
    ['queued', 'in_progress', 'success', 'failed'],
  ],
  [[...created, 'schema', 'properties', 'status', 'nullable'], true],
  [[...createBuild, 'responses', '409'], undefined],
  [[...createBuild, 'responses', '409', 'content'], undefined],
  [['paths', '/builds/{id}', 'delete', 'responses', '204', 'content'], { 'application/json': {} }],
  [['paths', '/builds/{id}', 'delete', 'responses', '501'], undefined],
  [[...listBuilds, 'parameters', '0'], undefined],
  [[...listBuilds, 'parameters', '0', 'required'], true],
  [[...listBuilds, 'parameters', '0', 'in'], 'header'],
  [[...listBuilds, 'parameters', '0', 'schema', 'type'], 'string'],
  [[...listBuilds, 'parameters', '0', 'schema', 'default'], 0],
  [[...listBuilds, 'parameters', '0', 'schema', 'minimum'], undefined],
  [[...listBuilds, 'parameters', '1', 'schema', 'maximum'], 200],
  [[...listBuilds, 'parameters', '6'], { in: 'query', name: 'tenant', required: true, schema: {} }],
  [[...listed, 'schema', 'properties', 'builds', 'items', 'properties', 'git_commit', 'nullable'], false],
  [['paths', '/builds/{id}', 'get', 'parameters', '0', 'required'], undefined],
  [['components', 'schemas', 'LogEntry'], undefined],
  [
    ['components', 'schemas', 'LogEntry', 'properties', 'level', 'enum'],
    ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'],
  ],
  [['components', 'schemas', 'BuildStatus', 'properties', 'progress', 'properties', 'percentage', 'maximum'], 1],
  [['components', 'securitySchemes', 'BearerAuth', 'scheme'], 'basic'],
];

function mutated(document: Tree, [key = '', ...deeper]: readonly string[], value: unknown): Tree {
  const copy: Record<string, unknown> = Array.isArray(document) ? ([...document] as never) : { ...document };
  if (deeper.length > 0) copy[key] = mutated(copy[key] as Tree, deeper, value);
  else if (value !== undefined) copy[key] = value;
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else Reflect.deleteProperty(copy, key);
  return copy;
}

describe('the comparison with the contract', () => {
  it.each(mutations)('notices when %j becomes %j', (place, value) => {
    const [first, ...more] = place;
    const before = new Set(deviations(contract, ours));
    const found = deviations(contract, mutated(ours, [first ?? '', ...more], value));
    expect(found.filter((deviation) => !before.has(deviation))).toHaveLength(1);
  });

  it('lets the document have more', () => {
    let more = mutated(ours, ['paths', '/builds', 'put'], { operationId: 'other' });
    more = mutated(more, [...created, 'schema', 'properties', 'other'], { type: 'string' });
    more = mutated(more, [...createBuild, 'responses', '418'], { description: 'A teapot' });
    more = mutated(more, [...listBuilds, 'parameters', '6'], { in: 'query', name: 'other', schema: {} });
    expect(deviations(contract, more)).toEqual(deviations(contract, ours));
  });
});

describe('every operation', () => {
  const permission = /\*\*Permissions Required:\*\* `\w+:\w+`/;

  it('says what its caller needs', () => {
    const wrong = operationsOf(ours).filter((operation) => {
      const isOpen = securityOf(ours, operation).length === 0;
      const text = String(operation.docs.description);
      if (isOpen) return text.includes('Permission') || operation.docs.security === undefined;
      return !permission.test(text) && !text.includes('Needs a valid access token');
    });
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  it('shows each of its answers by an example that its own schema allows', () => {
    const wrong = operationsOf(ours).flatMap(({ id, docs }) =>
      Object.entries(treeAt(docs, 'responses')).flatMap(([status, response]) => {
        const media = treeAt(response, 'content')['application/json'];
        if (media === undefined) return [];
        const { example, schema } = treeAt(media);
        if (example === undefined) return [`${id} ${status} has no example`];
        return problemsBy(treeAt(schema), example).map((problem) => `${id} ${status}: ${problem}`);
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('documents the errors that it can answer', () => {
    const wrong = operationsOf(ours).flatMap((operation) => {
      const { id, docs } = operation;
      const expected = ['500'];
      if (securityOf(ours, operation).length > 0) expected.push('401');
      if (permission.test(String(docs.description))) expected.push('403');
      if (docs.requestBody !== undefined || listOf(docs.parameters).length > 0) expected.push('400');
      if (docs.requestBody !== undefined) expected.push('413', '415');
      return expected.filter((status) => !(status in treeAt(docs, 'responses'))).map((status) => `${id} ${status}`);
    });
    expect(wrong).toEqual([]);
  });

  it('shows each body that it takes by an example that its own schema allows', () => {
    const wrong = operationsOf(ours).flatMap(({ id, docs }) => {
      if (docs.requestBody === undefined) return [];
      const { example, examples, schema } = treeAt(docs.requestBody, 'content', 'application/json');
      const shown = [example, ...Object.values(treeAt(examples)).map((one) => treeAt(one).value)];
      const properties = treeAt(schema, 'properties');
      const byProperty = Object.fromEntries(
        Object.entries(properties).flatMap(([name, property]) =>
          treeAt(property).example === undefined ? [] : [[name, treeAt(property).example]],
        ),
      );
      const values = shown.filter((value) => value !== undefined);
      if (values.length === 0 && Object.keys(byProperty).length > 0) values.push(byProperty);
      if (values.length === 0) return [`${id} has no example`];
      return values.flatMap((value) => problemsBy(treeAt(schema), value).map((problem) => `${id}: ${problem}`));
    });
    expect(wrong).toEqual([]);
  });
});
