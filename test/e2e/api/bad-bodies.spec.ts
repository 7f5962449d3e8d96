import { gzipSync } from 'node:zlib';
import { Api } from '../../support/api';
import type { Operation } from '../../support/openapi/document';
import { problemsBy } from '../../support/openapi/validator';
import { DocumentClient, errorSchema, expectRefusals } from './document-client';

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

describe('every route refuses a body that is none', () => {
  const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);
  const texts: readonly string[] = [
    '{',
    '}',
    '{"a":}',
    '{"a":1,}',
    "{'a':1}",
    '{"a":1}{"b":2}',
    'undefined',
    'NaN',
    '[]',
    '"x"',
    '5',
    'null',
    'true',
    '\u0000',
    '\ufeff',
    '{"a":"\u0001"}',
    '[{"reason":"x"}]',
    nested(10_000, '[', ']'),
    nested(10_000, '{"a":', '}').replace('}', '1}'),
    `{"reason":${nested(10_000, '[', ']')}}`,
    `{"unknown":${nested(10_000, '[', ']')}}`,
    `{"unknown":${nested(300_000, '[', '')}`,
    '{"__proto__":{"isAdmin":true}}',
    '{"constructor":{"prototype":{"isAdmin":true}}}',
    '{"unknown":{"constructor":"x"}}',
    '{"unknown":{"__proto__":[]}}',
    '{"unknown":"a\\u0000b"}',
    '{"unknown":"\\ud800"}',
    '{"unknown":{"a\\u0000b":1}}',
    `{"unknown":"${'x'.repeat(1_100_000)}"}`,
  ];

  const takesBody = (): Operation[] => client.operations.filter(({ method }) => method !== 'GET');

  it('whether or not it wants one', async () => {
    await expectRefusals(
      takesBody().flatMap((operation) =>
        texts.map((text) => [`${operation.id} ${text}`, () => client.send(operation, { body: text })] as const),
      ),
    );
  });

  it('in another content type or encoding', async () => {
    const types = [
      'text/plain',
      'application/xml',
      'multipart/form-data; boundary=x',
      'application/x-www-form-urlencoded',
      'x',
      ' ',
      'application/jsonx',
      'application/json; charset=latin1',
      'application/json; charset=x',
    ];
    const encodings = ['gzip', 'deflate', 'br', 'x', 'gzip, gzip'];
    await expectRefusals(
      takesBody().flatMap((operation) => [
        ...types.map(
          (type) =>
            [
              `${operation.id} ${type}`,
              () => client.send(operation, { body: '{"a":"b"}', headers: { 'Content-Type': type } }),
            ] as const,
        ),
        ...encodings.map(
          (encoding) =>
            [
              `${operation.id} ${encoding}`,
              () => client.send(operation, { body: '{"a":"b"}', headers: { 'Content-Encoding': encoding } }),
            ] as const,
        ),
      ]),
    );
  });

  it('compressed, when it is a bomb', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, ' '));
    const response = await fetch(`${api.url}/api/v1/builds`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${client.caller.token ?? ''}`,
        'Content-Type': 'application/json',
        'Content-Encoding': 'gzip',
      },
      body: bomb,
    });
    expect(response.status).toBe(413);
    expect(problemsBy(errorSchema, await response.json())).toEqual([]);
  });

  it('as bytes that are no UTF-8', async () => {
    const response = await fetch(`${api.url}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
    });
    expect(response.status).toBe(400);
  });

  it('but a good one that is compressed is taken', async () => {
    const response = await fetch(`${api.url}/api/v1/builds`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${client.caller.token ?? ''}`,
        'Content-Type': 'application/json',
        'Content-Encoding': 'gzip',
      },
      body: gzipSync(JSON.stringify({ project_id: client.world.project.id, git_branch: 'main' })),
    });
    expect(response.status).toBe(201);
  });
});
