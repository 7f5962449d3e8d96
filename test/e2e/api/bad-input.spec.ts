import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Api } from '../../support/api';
import { badJson, badQuery, isBounded } from '../../support/openapi/bad-values';
import { isTree, listOf, type Operation, treeAt } from '../../support/openapi/document';
import { problemsBy } from '../../support/openapi/validator';
import { bodySchema, DocumentClient, errorSchema, expectRefusals, goodBody, parametersOf } from './document-client';

let api: Api;
let client: DocumentClient;

beforeAll(async () => {
  api = await Api.start();
  client = await DocumentClient.make(api);
});

afterAll(async () => {
  // Whatever came, the service still serves.
  (await client.caller.get('/builds')).expect(200);
  await api.stop();
});

const withBody = (): Operation[] => client.operations.filter(({ docs }) => docs.requestBody !== undefined);

describe('what the document says of a field, the service holds', () => {
  it('every text that is sent to us has a documented length', () => {
    const unbounded = client.operations.flatMap((operation) =>
      [
        ...Object.entries(treeAt(bodySchema(operation).properties)).map(
          ([name, schema]) => [name, treeAt(schema)] as const,
        ),
        ...listOf(operation.docs.parameters).map((one) => [String(treeAt(one).name), treeAt(one, 'schema')] as const),
      ]
        .filter(([, schema]) => !isBounded(schema))
        .map(([name]) => `${operation.id} ${name}`),
    );
    expect(unbounded).toEqual([]);
  });

  it('each field of each body refuses each bad value, and is named', async () => {
    await expectRefusals(
      withBody().flatMap((operation) =>
        Object.entries(treeAt(bodySchema(operation).properties)).flatMap(([name, schema]) =>
          badJson(treeAt(schema)).map(
            (value) =>
              [
                `${operation.id} ${name} = ${JSON.stringify(value)}`,
                () => client.send(operation, { body: { ...goodBody(operation), [name]: value } }),
                name,
              ] as const,
          ),
        ),
      ),
    );
  });

  it('each required field of each body is missed, and named', async () => {
    await expectRefusals(
      withBody().flatMap((operation) =>
        listOf(bodySchema(operation).required).map(
          (name) =>
            [
              `${operation.id} without ${String(name)}`,
              () => client.send(operation, { body: { ...goodBody(operation), [String(name)]: undefined } }),
              String(name),
            ] as const,
        ),
      ),
    );
  });

  it('each parameter of each query refuses each bad value, and is named', async () => {
    await expectRefusals(
      client.operations.flatMap((operation) =>
        parametersOf(operation, 'query').flatMap(({ name, schema }) => {
          const key = String(name);
          const values = badQuery(treeAt(schema)).map((value) => `?${key}=${encodeURIComponent(value)}`);
          const twice = [`?${key}=1&${key}=2`, `?${key}=&${key}=`, `?${key}=%ff`, `?${key}=%`];
          // The stream is asked for without an upgrade, so its query is looked at by nobody.
          const field = operation.id === 'streamBuildLogs' ? undefined : key;
          return [...values, ...twice].map(
            (query) => [`${operation.id} ${query}`, () => client.send(operation, { query }), field] as const,
          );
        }),
      ),
    );
  });

  it('each id in each path refuses each bad value, and is named', async () => {
    const ids = [
      'x',
      '0',
      '-1',
      'null',
      '%00',
      '%0a',
      '%20',
      '%2f',
      '..%2f..',
      '%2e%2e',
      '__proto__',
      'constructor',
      '💥',
      "'--",
    ];
    const near = [`${randomUUID()}%0a`, `${randomUUID()}x`, randomUUID().slice(1), randomUUID().replaceAll('-', '')];
    await expectRefusals(
      client.operations
        .filter((operation) => parametersOf(operation, 'path').length > 0)
        .flatMap((operation) =>
          // fetch itself resolves the dots, so these two arrive at another route.
          [...ids.filter((id) => !id.includes('2e')), ...near, 'x'.repeat(8_000)].map(
            (id) => [`${operation.id} ${id}`, () => client.send(operation, { id }), 'id'] as const,
          ),
        ),
    );
  });

  it('a path that cannot be decoded is refused by every route', async () => {
    await expectRefusals(
      client.operations
        .filter((operation) => parametersOf(operation, 'path').length > 0)
        .flatMap((operation) =>
          ['%', '%f', '%zz', '%ff', '%c0%af', '%ed%a0%80'].map(
            (id) => [`${operation.id} ${id}`, () => client.send(operation, { id }), 'id'] as const,
          ),
        ),
    );
  });

  it('each unknown id is 404', async () => {
    for (const operation of client.operations.filter((one) => parametersOf(one, 'path').length > 0)) {
      // Without an upgrade the stream is 400 before anything is looked for.
      const { status } = await client.send(operation);
      expect([operation.id, status]).toEqual([operation.id, operation.id === 'streamBuildLogs' ? 400 : 404]);
    }
  });
});

describe('very long addresses and headers', () => {
  it('are refused by every route', async () => {
    await expectRefusals(
      client.operations.flatMap((operation) => [
        [
          `${operation.id} with a long query`,
          () => client.send(operation, { query: `?x=${'x'.repeat(20_000)}` }),
        ] as const,
        [
          `${operation.id} with a long header`,
          () => client.send(operation, { headers: { 'X-Long': 'x'.repeat(20_000) } }),
        ] as const,
        [
          `${operation.id} with a long token`,
          () => client.send(operation, { headers: { Authorization: `Bearer ${'x'.repeat(15_000)}` } }),
        ] as const,
      ]),
    );
  });
});

describe('anything at all', () => {
  const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31);
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.constantFrom('\0', '\ud800', 'main', '', '__proto__'),
  );
  const json = fc.oneof(fc.jsonValue({ maxDepth: 4 }), text, fc.double(), fc.constantFrom({}, [], null, 1e308));

  it(`is answered by less than 500, and a refusal by the envelope (FAST_CHECK_SEED=${seed})`, async () => {
    const request = fc.record({
      operation: fc.nat().map((index) => index),
      id: fc.oneof(fc.uuid(), text.map(encodeURIComponentSafely)),
      query: fc.dictionary(
        fc.constantFrom('page', 'limit', 'status', 'sort_by', 'sort_order', 'project_id', 'offset', 'x'),
        text,
      ),
      fields: fc.dictionary(
        fc.oneof(
          fc.constantFrom(
            'project_id',
            'git_branch',
            'git_commit',
            'build_args',
            'reason',
            'name',
            'email',
            'role',
            'admin',
            'registry_prefixes',
            'repository_url',
            'context_path',
            'image_repository',
            'disabled',
          ),
          text,
        ),
        json,
      ),
      whole: fc.option(json, { freq: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(request, async ({ operation: index, id, query, fields, whole }) => {
        const operation = client.operations[index % client.operations.length];
        if (operation === undefined) return;
        const encoded = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponentSafely(value)}`);
        const body =
          operation.method === 'GET' ? undefined : JSON.stringify(whole ?? { ...goodBody(operation), ...fields });
        const answer = await client.send(operation, { id: id === '' ? 'x' : id, query: `?${encoded.join('&')}`, body });
        expect(answer.status).toBeLessThan(500);
        if (answer.status >= 400) expect(problemsBy(errorSchema, answer.body)).toEqual([]);
        else if (answer.text !== '') expect(isTree(answer.body)).toBe(true);
      }),
      { seed, numRuns: 400 },
    );
  });
});

/** Half a surrogate pair has no UTF-8. */
function encodeURIComponentSafely(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}
