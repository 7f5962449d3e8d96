import fc from 'fast-check';
import { isTree, listOf, type Operation, type Tree, treeAt } from '../support/openapi/document';
import { badJson, badQuery } from '../support/openapi/bad-values';

/** Whose resource an id in a request names, or what stands in its place. */
export type IdWish =
  | { readonly kind: 'own' | 'foreign'; readonly number: number }
  | { readonly kind: 'absent' }
  | { readonly kind: 'text'; readonly text: string };

/** Somebody of the first tenant, of the second one, or nobody. */
export const actorNames = [
  'admin',
  'developer',
  'viewer',
  'key',
  'stranger',
  'strangerKey',
  'nobody',
  'forger',
  'platform',
] as const;
export type ActorName = (typeof actorNames)[number];

/** A request before the run knows the ids of what there is. */
export interface RequestPlan {
  readonly operation: Operation;
  readonly actor: ActorName;
  readonly id: IdWish;
  /** The other parameters of the path, such as a name. */
  readonly names: readonly string[];
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: BodyWish;
  /** What is changed in the bytes of the request, which is then sent past any HTTP library. */
  readonly mutation: Mutation | null;
}

export type BodyWish =
  | { readonly kind: 'none' }
  /** `project_id` is then an id of the run. */
  | { readonly kind: 'json'; readonly value: unknown; readonly project: IdWish }
  /** What signs a user in. */
  | { readonly kind: 'credential' }
  | { readonly kind: 'raw'; readonly text: string; readonly type: string };

export interface Mutation {
  readonly kind: 'flip' | 'cut' | 'double' | 'insert';
  /** Where, as a share of the length. */
  readonly at: number;
  readonly text: string;
}

const hostileTexts = [
  ...['', ' ', '.', '..', '/', '\\', '%', '%00', '%2f', '%2e%2e', '%ff', '\0', '\r\n', '\n', '\u202e', '\ud800', '💥'],
  ...["'", '"', "' OR '1'='1", '; DROP TABLE builds', '$1', '{{7*7}}', '${7*7}', '<script>alert(1)</script>'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'null', 'undefined', 'NaN', 'true', '[]', '{}', '-1', '0'],
  ...[
    '9007199254740993',
    '1e309',
    '0x10',
    '٣',
    '../../etc/passwd',
    'file:///etc/passwd',
    '-oProxyCommand=id',
    'a'.repeat(9_000),
  ],
];

const hostileText = fc.oneof(fc.constantFrom(...hostileTexts), fc.string({ unit: 'binary' }), fc.string());

/** Any id, or something else in its place. */
const idWish: fc.Arbitrary<IdWish> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('own' as const), number: fc.nat(1_000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('foreign' as const), number: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('absent' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('text' as const), text: hostileText }) },
);

const plainWord = fc.stringMatching(/^[a-z][a-z0-9-]{7,20}$/);

/** A value that the schema allows. */
function good(schema: Tree): fc.Arbitrary<unknown> {
  const { type, enum: words, format, minLength, maxLength, minimum, maximum, example } = schema;
  const examples = example === undefined ? [] : [{ weight: 6, arbitrary: fc.constant(example) }];
  if (words !== undefined) return fc.constantFrom(...listOf(words));
  switch (type) {
    case 'string': {
      if (format === 'uuid') return fc.uuid();
      if (format === 'email') return plainWord.map((text) => `${text}@example.com`);
      const [least, most] = [numberOr(minLength, 0), Math.min(numberOr(maxLength, 40), 300)];
      const word = plainWord.map((text) => text.padEnd(least, 'x').slice(0, most));
      const any = fc.string({ minLength: least, maxLength: most });
      return fc.oneof(...examples, { weight: 6, arbitrary: word }, { weight: 1, arbitrary: any });
    }
    case 'integer':
    case 'number': {
      const [least, most] = [numberOr(minimum, -5), Math.min(numberOr(maximum, 1_000), 2 ** 31)];
      return fc.oneof(...examples, { weight: 3, arbitrary: fc.integer({ min: least, max: most }) });
    }
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(good(treeAt(schema.items)), { maxLength: 5 });
    default:
      return isTree(schema.properties) ? goodObject(schema) : mapOf(schema, examples);
  }
}

/** Members whose form the schema does not tell, by their names. */
const formOf = new Map<string, fc.Arbitrary<unknown>>([
  ['git_commit', fc.stringMatching(/^[0-9a-f]{40}$/)],
  ['repository_url', plainWord.map((text) => `https://git.example.com/${text}.git`)],
]);

function goodMember(name: string, schema: Tree): fc.Arbitrary<unknown> {
  const form = formOf.get(name);
  const any = good(schema);
  return form === undefined ? any : fc.oneof({ weight: 9, arbitrary: form }, { weight: 1, arbitrary: any });
}

/** Mostly with the members that it must have. */
function goodObject({ properties, required }: Tree): fc.Arbitrary<unknown> {
  const parts = Object.fromEntries(
    Object.entries(treeAt(properties)).map(([name, schema]) => [name, goodMember(name, treeAt(schema))]),
  );
  const whole = fc.record(parts, { requiredKeys: listOf(required).map(String) });
  return fc.oneof({ weight: 6, arbitrary: whole }, { weight: 1, arbitrary: fc.record(parts, { requiredKeys: [] }) });
}

type Weighted = fc.WeightedArbitrary<unknown>;

function mapOf({ additionalProperties }: Tree, examples: readonly Weighted[]): fc.Arbitrary<unknown> {
  if (additionalProperties === undefined) return fc.oneof(...examples, { weight: 1, arbitrary: fc.constant({}) });
  const map = fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,12}$/), fc.string({ maxLength: 50 }));
  return fc.oneof(...examples, { weight: 3, arbitrary: map });
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

/** A body as documented, then with some members made wrong, missing, or strange. */
function jsonBody(schema: Tree): fc.Arbitrary<unknown> {
  const properties = Object.entries(treeAt(schema.properties));
  const whole = fc.record(
    Object.fromEntries(
      properties.map(([name, each]) => [
        name,
        fc.oneof(
          { weight: 30, arbitrary: goodMember(name, treeAt(each)) },
          { weight: 1, arbitrary: fc.constantFrom(...badJson(treeAt(each))) },
          { weight: 1, arbitrary: hostileText },
        ),
      ]),
    ),
    {
      requiredKeys: listOf(schema.required)
        .map(String)
        .filter((name) => properties.some(([known]) => known === name)),
    },
  );
  const strange = fc.tuple(
    whole,
    fc.oneof(hostileText, fc.constant('status'), fc.constant('tenant_id')),
    fc.jsonValue(),
  );
  return fc.oneof(
    { weight: 30, arbitrary: whole },
    { weight: 2, arbitrary: strange.map(([body, name, value]) => ({ ...body, [name]: value })) },
    { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 6 }) },
  );
}

const rawBodies = [
  '',
  '{',
  '[]',
  'null',
  '"x"',
  '{"a":1',
  '\ufeff{}',
  '{"__proto__":{"x":1}}',
  '['.repeat(20_000),
  '{}'.repeat(9),
];
const mediaTypes = [
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'multipart/form-data',
  '',
  'x',
];

const signingIn = ['login', 'refresh'];

function bodyWish({ id, docs }: Operation): fc.Arbitrary<BodyWish> {
  const schema = treeAt(docs.requestBody, 'content', 'application/json', 'schema');
  const raw = fc.record({
    kind: fc.constant('raw' as const),
    text: fc.oneof(fc.constantFrom(...rawBodies), fc.string()),
    type: fc.constantFrom(...mediaTypes),
  });
  const none = fc.constant({ kind: 'none' } as const);
  if (docs.requestBody === undefined) return fc.oneof({ weight: 15, arbitrary: none }, { weight: 1, arbitrary: raw });
  const json = fc.record({ kind: fc.constant('json' as const), value: jsonBody(schema), project: idWish });
  const credential = fc.constant({ kind: 'credential' } as const);
  return fc.oneof(
    { weight: 20, arbitrary: json },
    { weight: signingIn.includes(id) ? 15 : 0, arbitrary: credential },
    { weight: 2, arbitrary: raw },
    { weight: 1, arbitrary: none },
  );
}

function queryWish({ docs }: Operation): fc.Arbitrary<[string, string][]> {
  const known = listOf(docs.parameters)
    .map((parameter) => treeAt(parameter))
    .filter((parameter) => parameter.in === 'query');
  const pair = (parameter: Tree): fc.Arbitrary<[string, string]> => {
    const schema = treeAt(parameter.schema);
    const value = fc.oneof(
      { weight: 6, arbitrary: good(schema).map(String) },
      { weight: 1, arbitrary: fc.constantFrom(...badQuery(schema)) },
      { weight: 1, arbitrary: hostileText },
    );
    return fc.tuple(fc.constant(String(parameter.name)), value);
  };
  const strange = fc.tuple(hostileText, hostileText);
  if (known.length === 0) return fc.array(strange, { maxLength: 1 });
  return fc.oneof(
    { weight: 8, arbitrary: fc.array(fc.oneof(...known.map(pair)), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(strange, { maxLength: 2 }) },
  );
}

/** Those that a server reads itself, so that a run sees what it makes of them. */
const headerNames = [
  'Idempotency-Key',
  'X-Request-Id',
  'traceparent',
  'Accept',
  'X-Forwarded-For',
  'Origin',
  'Range',
  'If-Match',
  'Expect',
  'Upgrade',
  'X-HTTP-Method-Override',
];
const headerValue = fc.oneof(
  fc.constantFrom(
    '',
    'x',
    '*/*',
    '100-continue',
    'websocket',
    'DELETE',
    '127.0.0.1',
    'https://evil.example',
    'bytes=0-5',
    'a'.repeat(300),
  ),
  fc.stringMatching(/^[\x20-\x7e]{0,60}$/),
  fc.uuid(),
);

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'double', 'insert'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  text: fc.oneof(
    fc.constantFrom('\r\n', '\0', ' ', '\t', ':', 'Transfer-Encoding: chunked\r\n', 'Content-Length: 5\r\n'),
    fc.string(),
  ),
});

/** More is made than is taken away, so that there is something to ask about. */
const weights: Readonly<Record<string, number>> = {
  createBuild: 16,
  createProject: 16,
  startBuild: 8,
  deleteProject: 1,
  login: 1,
};

/** Requests to any operation: as documented, mutated, and hostile. */
export function requestPlan(operations: readonly Operation[]): fc.Arbitrary<RequestPlan> {
  const ofOperation = (operation: Operation): fc.Arbitrary<RequestPlan> =>
    fc.record({
      operation: fc.constant(operation),
      actor: fc.oneof(
        { weight: 4, arbitrary: fc.constant('admin' as const) },
        { weight: 5, arbitrary: fc.constantFrom(...actorNames) },
      ),
      id: idWish,
      names: fc.array(fc.oneof(fc.constantFrom('TOKEN', 'npm', 'a.b'), hostileText), { minLength: 2, maxLength: 2 }),
      query: queryWish(operation),
      headers: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(fc.tuple(fc.constantFrom(...headerNames), headerValue), { maxLength: 2 }) },
      ),
      body: bodyWish(operation),
      mutation: fc.oneof({ weight: 15, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: mutation }),
    });
  return fc.oneof(...operations.map((each) => ({ weight: weights[each.id] ?? 4, arbitrary: ofOperation(each) })));
}
