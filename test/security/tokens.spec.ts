import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { newApiKey } from '../../src/api-keys/api-key';
import { KeyOwner } from '../factories/key-owner';
import { World } from '../factories/world';
import { Api, jwtSecret, tenantPermissions } from '../support/api';
import type { Answer } from '../support/caller';
import { expectRefusal } from '../support/expect-refusal';
import { OidcIssuer } from '../support/oidc-issuer';
import { askUpgrade } from '../support/upgrade';

let issuer: OidcIssuer;
let api: Api;
let world: World;
let buildId: string;

beforeAll(async () => {
  // Also where tokens of another issuer are taken, ours are held to all that they were.
  issuer = await OidcIssuer.start();
  api = await Api.start({ OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: 'image-factory' });
  world = await World.make(api);
  buildId = (await world.build()).id;
});

afterAll(async () => {
  await api.stop();
  await issuer.down();
});

type Claims = Readonly<Record<string, unknown>>;

const seconds = (): number => Math.floor(Date.now() / 1000);
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const good = (): Claims => ({
  sub: randomUUID(),
  tenant_id: world.tenantId,
  permissions: tenantPermissions,
  iss: 'image-factory',
  aud: 'image-factory',
  iat: seconds(),
  exp: seconds() + 900,
});

/** A token that is made by hand, as an attacker makes it: every part can be wrong. */
function forge(
  changes: Claims = {},
  header: Claims = {},
  { secret = jwtSecret, hash = 'sha256' }: { secret?: string; hash?: string } = {},
): string {
  const body = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode({ ...good(), ...changes })}`;
  return `${body}.${createHmac(hash, secret).update(body).digest('base64url')}`;
}

function unsigned(header: Claims, signature = ''): string {
  return `${encode(header)}.${encode(good())}.${signature}`;
}

/** Signed by a key pair whose public half is then named to us, or guessed to be our secret. */
function signedByOwnKey(name: 'jwk' | 'x5c' | 'jku'): string {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const named = { jwk, x5c: [String(jwk.n)], jku: `${api.url}/keys.json` }[name];
  const body = `${encode({ alg: 'RS256', typ: 'JWT', [name]: named })}.${encode(good())}`;
  return `${body}.${sign('sha256', Buffer.from(body), privateKey).toString('base64url')}`;
}

const forged: readonly (readonly [name: string, make: () => string])[] = [
  ['alg none', () => unsigned({ alg: 'none', typ: 'JWT' })],
  ['alg None', () => unsigned({ alg: 'None', typ: 'JWT' })],
  ['alg none with our signature', () => forge({}, { alg: 'none' })],
  ['no alg', () => unsigned({ typ: 'JWT' }, 'AAAA')],
  ['an empty signature', () => unsigned({ alg: 'HS256', typ: 'JWT' })],
  ['HS512 by our own key', () => forge({}, { alg: 'HS512' }, { hash: 'sha512' })],
  ['HS384 by our own key', () => forge({}, { alg: 'HS384' }, { hash: 'sha384' })],
  ['HS512 that says HS256', () => forge({}, {}, { hash: 'sha512' })],
  ['a wrong key', () => forge({}, {}, { secret: 'another secret that is long enough too' })],
  ['an empty key', () => forge({}, {}, { secret: '' })],
  ['an embedded jwk', () => signedByOwnKey('jwk')],
  ['an embedded certificate', () => signedByOwnKey('x5c')],
  ['a jku that leads to us', () => signedByOwnKey('jku')],
  ['a kid that is a path, signed with what is there', () => forge({}, { kid: '../../../../dev/null' }, { secret: '' })],
  ['expired', () => forge({ exp: seconds() - 1 })],
  ['no exp', () => forge({ exp: undefined })],
  ['an exp that is a text', () => forge({ exp: String(seconds() + 900) })],
  ['an exp that is null', () => forge({ exp: null })],
  ['nbf in the future', () => forge({ nbf: seconds() + 600 })],
  ['an nbf that is a text', () => forge({ nbf: 'now' })],
  ['a wrong iss', () => forge({ iss: 'image-factory.example.com' })],
  ['no iss', () => forge({ iss: undefined })],
  ['a list of iss', () => forge({ iss: ['image-factory'] })],
  ['a wrong aud', () => forge({ aud: 'another-service' })],
  ['no aud', () => forge({ aud: undefined })],
  ['a list of aud', () => forge({ aud: ['another-service', 'image-factory'] })],
  ['a crit header', () => forge({}, { crit: ['b64'] })],
  ['an empty crit header', () => forge({}, { crit: [] })],
  ['permissions as a text', () => forge({ permissions: 'build:read build:list' })],
  ['permissions as an object', () => forge({ permissions: { 'build:read': true } })],
  ['permissions that are no texts', () => forge({ permissions: ['build:read', 5] })],
  ['no permissions', () => forge({ permissions: undefined })],
  ['a tenant that is no UUID', () => forge({ tenant_id: '*' })],
  ['a list of tenants', () => forge({ tenant_id: [randomUUID()] })],
  ['no tenant', () => forge({ tenant_id: undefined })],
  ['a sub that is no UUID', () => forge({ sub: 'admin' })],
  ['no sub', () => forge({ sub: undefined })],
  ['a changed claim', () => forge().replace(/\.[^.]+\./, `.${encode({ ...good(), tenant_id: randomUUID() })}.`)],
  ['a cut signature', () => forge().slice(0, -2)],
  ['two parts', () => forge().split('.').slice(0, 2).join('.')],
  ['four parts', () => `${forge()}.AAAA`],
  ['a claim set that is a list', () => `${encode({ alg: 'HS256' })}.${encode([])}.AAAA`],
  ['no JSON', () => 'AAAA.AAAA.AAAA'],
  ['nothing', () => ''],
  ['a very long one', () => 'A'.repeat(8_000)],
];

const byHeader = (token: string): Readonly<Record<string, string>> => ({ Authorization: `Bearer ${token}` });

const streamPath = (): string => `/api/v1/builds/${buildId}/logs/stream`;

describe('a good token made by hand', () => {
  it('is let in, so that the forged ones are refused for what is wrong with them', async () => {
    expect((await api.anonymous.get('/builds', byHeader(forge()))).status).toBe(200);
    expect((await askUpgrade(api.port, streamPath(), byHeader(forge()))).status).toBe(101);
    const offered = `imagefactory.logs.v1, bearer.${forge()}`;
    expect((await askUpgrade(api.port, streamPath(), { 'Sec-WebSocket-Protocol': offered })).status).toBe(101);
  });

  it('may name a scheme in any case', async () => {
    expect((await api.anonymous.get('/builds', { Authorization: `bearer ${forge()}` })).status).toBe(200);
  });
});

describe.each(forged)('a token with or of %s', (_, make) => {
  it('is refused by every route', async () => {
    const headers = byHeader(make());
    expectRefusal(await api.anonymous.get('/builds', headers));
    expectRefusal(await api.anonymous.get(`/builds/${buildId}`, headers));
    expectRefusal(await api.anonymous.post('/builds', { project_id: world.project.id, git_branch: 'main' }, headers));
    expectRefusal(await api.anonymous.get('/auth/me', headers));
  });

  it('is refused at the door of the stream, by header and by subprotocol', async () => {
    const token = make();
    expectRefusal(await askUpgrade(api.port, streamPath(), byHeader(token)));
    const offered = `imagefactory.logs.v1, bearer.${token}`;
    expectRefusal(await askUpgrade(api.port, streamPath(), { 'Sec-WebSocket-Protocol': offered }));
  });
});

describe('a good token in the wrong place', () => {
  it.each<[string, () => Promise<Answer>]>([
    ['the query', () => api.anonymous.get(`/builds?access_token=${forge()}&token=${forge()}`)],
    ['a cookie', () => api.anonymous.get('/builds', { Cookie: `token=${forge()}; access_token=${forge()}` })],
    ['another scheme', () => api.anonymous.get('/builds', { Authorization: `Basic ${forge()}` })],
    ['the header without a scheme', () => api.anonymous.get('/builds', { Authorization: forge() })],
    ['two schemes', () => api.anonymous.get('/builds', { Authorization: `Bearer Bearer ${forge()}` })],
    ['two credentials', () => api.anonymous.get('/builds', { Authorization: `Bearer ${forge()}, Bearer ${forge()}` })],
    ['the body', () => api.anonymous.post('/builds', { access_token: forge() })],
    ["the stream's query", () => askUpgrade(api.port, `${streamPath()}?access_token=${forge()}`)],
    ['X-Access-Token', () => api.anonymous.get('/builds', { 'X-Access-Token': forge() })],
  ])('is not looked at: %s', async (_, request) => {
    expectRefusal(await request());
  });
});

describe('an API key', () => {
  const forgedKeys: readonly (readonly [name: string, make: (key: string) => string])[] = [
    ['that was never made', () => newApiKey().key],
    [
      'with the prefix of a good one and a checksum that fits',
      (key) => withChecksum(key.slice(0, 17), newApiKey().key),
    ],
    ['with one wrong digit', (key) => key.slice(0, 30) + (key.charAt(30) === 'x' ? 'y' : 'x') + key.slice(31)],
    ['without its end', (key) => key.slice(0, -1)],
    ['that is its prefix alone', (key) => key.slice(0, 17)],
    ['in capitals', (key) => key.toUpperCase()],
    ['with something behind it', (key) => `${key}.AAAA`],
    ['that is the mark alone', () => 'imgf_'],
    ['without its mark', (key) => key.slice(5)],
    ['that never ends', (key) => key + 'A'.repeat(8_000)],
    ['with SQL in it', () => `imgf_'OR'1'='1`],
  ];

  it.each(forgedKeys)('%s is refused', async (_, make) => {
    const { key } = await (await KeyOwner.make(world, 'viewer')).key();
    expect((await api.anonymous.get('/builds', byHeader(key))).status).toBe(200);
    const wrong = make(key);
    expectRefusal(await api.anonymous.get('/builds', byHeader(wrong)));
    expectRefusal(await askUpgrade(api.port, streamPath(), byHeader(wrong)));
  });

  it('is looked at nowhere but in its place', async () => {
    const { key } = await (await KeyOwner.make(world, 'viewer')).key();
    expectRefusal(await api.anonymous.get(`/builds?api_key=${key}&access_token=${key}`));
    expectRefusal(await api.anonymous.get('/builds', { 'X-API-Key': key, Cookie: `api_key=${key}` }));
    expectRefusal(await api.anonymous.get('/builds', { Authorization: `Basic ${key}` }));
    expectRefusal(await askUpgrade(api.port, `${streamPath()}?access_token=${key}`));
  });
});

/** The beginning of one key and the secret digits of another, which is all that a stranger can put together. */
function withChecksum(prefix: string, other: string): string {
  const body = prefix + other.slice(17, -6);
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const check = Array.from({ length: 6 }, (_, place) =>
    digits.charAt(Math.floor(crc32(body) / 62 ** (5 - place)) % 62),
  );
  return body + check.join('');
}
