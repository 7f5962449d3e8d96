import { createHmac, randomUUID, sign } from 'node:crypto';
import { World } from '../factories/world';
import { Api, jwtSecret } from '../support/api';
import { expectRefusal } from '../support/expect-refusal';
import { type Claims, encode, type IssuerKey, makeKey, OidcIssuer, signedBy } from '../support/oidc-issuer';
import { askUpgrade } from '../support/upgrade';

let issuer: OidcIssuer;
let api: Api;
let world: World;
let buildId: string;
/** Keys that the issuer publishes and that are too weak, or of another curve. */
let weak: Readonly<Record<'rsa1024' | 'p384', IssuerKey>>;

beforeAll(async () => {
  issuer = await OidcIssuer.start();
  weak = { rsa1024: makeKey('RS256', { bits: 1024 }), p384: makeKey('ES256', { curve: 'P-384' }) };
  issuer.keys.push(...Object.values(weak));
  api = await Api.start({ OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: 'image-factory-api' });
  world = await World.make(api);
  buildId = (await world.build()).id;
});

afterAll(async () => {
  await api.stop();
  await issuer.down();
});

const good = (changes: Claims = {}): Claims =>
  issuer.claims({ tenant_id: world.tenantId, permissions: ['build:read', 'build:list'], ...changes });

const token = (changes: Claims = {}, header: Claims = {}): string =>
  signedBy(issuer.key('RS256'), good(changes), header);

/** What our own tokens look like. */
const ours = (): Claims => good({ sub: randomUUID(), iss: 'image-factory', aud: 'image-factory' });

/** An HMAC, by whatever an attacker can lay hands on. */
function hmac(key: string | Buffer, claims: Claims, header: Claims = {}, hash = 'sha256'): string {
  const body = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claims)}`;
  return `${body}.${createHmac(hash, key).update(body).digest('base64url')}`;
}

const rsa = (): IssuerKey => issuer.key('RS256');
const pem = (): string => rsa().publicKey.export({ type: 'spki', format: 'pem' }).toString();
const der = (): Buffer => rsa().publicKey.export({ type: 'spki', format: 'der' });
const kid = (): Claims => ({ kid: rsa().jwk.kid });
const seconds = (): number => Math.floor(Date.now() / 1000);

/** Signed by an attacker, whose key the header brings along. */
function bringing(header: (key: IssuerKey) => Claims): string {
  const key = makeKey('RS256');
  return signedBy(key, good(), header(key));
}

/** A signature by another hash or padding under the name that is allowed. */
function signedOtherwise(hash: string, header: Claims, claims = good()): string {
  const body = `${encode({ typ: 'JWT', ...kid(), ...header })}.${encode(claims)}`;
  return `${body}.${sign(hash, Buffer.from(body), rsa().privateKey).toString('base64url')}`;
}

const forged: readonly (readonly [name: string, make: () => string])[] = [
  ["HS256 by the issuer's public key as PEM", () => hmac(pem(), good(), kid())],
  ["HS256 by the issuer's public key as PEM without its last newline", () => hmac(pem().trim(), good(), kid())],
  ["HS256 by the issuer's public key as DER", () => hmac(der(), good(), kid())],
  ["HS256 by the issuer's public key as JWK", () => hmac(JSON.stringify(rsa().jwk), good(), kid())],
  ["HS256 by the issuer's modulus", () => hmac(String(rsa().jwk.n), good(), kid())],
  ['HS256 by our own secret', () => hmac(jwtSecret, good(), kid())],
  ['HS256 by our own secret with our audience', () => hmac(jwtSecret, good({ aud: 'image-factory' }))],
  ['HS256 by the public key that claims to be ours', () => hmac(pem(), ours())],
  ["RS256 by the issuer's key that claims to be ours", () => signedBy(rsa(), ours())],
  ["RS256 by the issuer's key that claims to be ours for its audience", () => token({ iss: 'image-factory' })],
  ['RS256 that is an HMAC by our own secret', () => hmac(jwtSecret, good(), { alg: 'RS256', ...kid() })],
  ['ES256 that is an HMAC by our own secret', () => hmac(jwtSecret, good(), { alg: 'ES256' })],
  ['alg none', () => `${encode({ alg: 'none', ...kid() })}.${encode(good())}.`],
  ['alg None with a signature', () => token({}, { alg: 'None' })],
  ['no alg', () => token({}, { alg: undefined })],
  ['RS512', () => signedOtherwise('sha512', { alg: 'RS512' })],
  ['RS384', () => signedOtherwise('sha384', { alg: 'RS384' })],
  ['RS512 that says RS256', () => signedOtherwise('sha512', { alg: 'RS256' })],
  ['PS256', () => token({}, { alg: 'PS256' })],
  ["ES256 by the RSA key's name", () => signedBy(issuer.key('ES256'), good(), kid())],
  ["RS256 by the EC key's name", () => token({}, { kid: issuer.key('ES256').jwk.kid })],
  [
    'an ES256 signature of zeros',
    () => `${encode({ alg: 'ES256', kid: issuer.key('ES256').jwk.kid })}.${encode(good())}.${'A'.repeat(86)}`,
  ],
  ['ES256 on another curve', () => signedBy(weak.p384, good())],
  ['an RSA key of 1024 bits', () => signedBy(weak.rsa1024, good())],
  ['a key that the issuer has not', () => signedBy(makeKey('RS256'), good())],
  ["a stranger's key by the issuer's key name", () => bringing(() => kid())],
  ['no kid', () => token({}, { kid: undefined })],
  ['a kid that is a path', () => token({}, { kid: '../../../../dev/null' })],
  ['a kid that is a URL', () => bringing(() => ({ kid: `${api.url}/keys.json` }))],
  ['a kid that is a list', () => token({}, { kid: [rsa().jwk.kid] })],
  ['a kid that is __proto__', () => token({}, { kid: '__proto__' })],
  ['an embedded jwk', () => bringing(({ jwk }) => ({ jwk, kid: undefined }))],
  ["an embedded jwk under the issuer's kid", () => bringing(({ jwk }) => ({ jwk, ...kid() }))],
  ['a jku that leads elsewhere', () => bringing(() => ({ jku: `${api.url}/keys.json`, ...kid() }))],
  ['an x5u that leads elsewhere', () => bringing(() => ({ x5u: `${api.url}/cert.pem`, ...kid() }))],
  ['an embedded certificate', () => bringing(({ jwk }) => ({ x5c: [String(jwk.n)], ...kid() }))],
  ['a crit header', () => token({}, { crit: ['exp'] })],
  ['a crit header for b64', () => token({}, { crit: ['b64'], b64: true })],
  ['an empty crit header', () => token({}, { crit: [] })],
  ['an unencoded payload', () => token({}, { crit: ['b64'], b64: false })],
  ['another type', () => token({}, { typ: 'logout+jwt' })],
  ['a type that is no text', () => token({}, { typ: 5 })],
  ['another iss', () => token({ iss: 'https://issuer.example.com' })],
  ['an iss with a slash more', () => token({ iss: `${issuer.url}/` })],
  ['a list of iss', () => token({ iss: [issuer.url] })],
  ['no iss', () => token({ iss: undefined })],
  ['another aud', () => token({ aud: 'another-service' })],
  ['our own audience', () => token({ aud: 'image-factory' })],
  ['an aud that only begins alike', () => token({ aud: 'image-factory-api-2' })],
  ['a list of other aud', () => token({ aud: ['another-service', 'a-third'] })],
  ['no aud', () => token({ aud: undefined })],
  ['expired', () => token({ exp: seconds() - 1 })],
  ['no exp', () => token({ exp: undefined })],
  ['an exp that is a text', () => token({ exp: String(seconds() + 900) })],
  ['nbf in the future', () => token({ nbf: seconds() + 60 })],
  ['an nbf that is a text', () => token({ nbf: 'now' })],
  ['no sub', () => token({ sub: undefined })],
  ['an empty sub', () => token({ sub: '' })],
  ['a sub that is a number', () => token({ sub: 7 })],
  ['a sub without end', () => token({ sub: 'x'.repeat(256) })],
  ["an ID token of the audience's own client", () => token({ at_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng', nonce: 'x' })],
  ["an ID token of the audience's own client, by Keycloak", () => token({ typ: 'ID' })],
  ['an ID token of another client', () => token({ aud: 'the-console', azp: 'the-console' }, { typ: 'JWT' })],
  ['an azp that is no text', () => token({ azp: ['the-console'] })],
  ['a tenant that is absent', () => token({ tenant_id: randomUUID() })],
  ['a tenant that is no UUID', () => token({ tenant_id: '*' })],
  ['no tenant', () => token({ tenant_id: undefined })],
  ['permissions as an object', () => token({ permissions: { 'build:read': true } })],
  ['permissions that are no texts', () => token({ permissions: ['build:read', 5] })],
  ['permissions as a number', () => token({ permissions: 7 })],
  ['a changed claim', () => token().replace(/\.[^.]+\./, `.${encode(good({ permissions: ['user:list'] }))}.`)],
  ['a cut signature', () => token().slice(0, -2)],
  ['four parts', () => `${token()}.AAAA`],
  ['a very long one', () => token({ sub: 'x'.repeat(6_000) })],
];

const byHeader = (credential: string): Readonly<Record<string, string>> => ({ Authorization: `Bearer ${credential}` });
const streamPath = (): string => `/api/v1/builds/${buildId}/logs/stream`;

describe('a good token made by hand', () => {
  it.each<[string, () => string]>([
    ['by RS256', () => token()],
    ['by ES256', () => signedBy(issuer.key('ES256'), good())],
    [
      'for several audiences',
      () => token({ aud: ['https://issuer.example.com/userinfo', 'image-factory-api'], azp: 'any' }),
    ],
    ['of an issuer whose clock is a little ahead', () => token({ nbf: seconds() + 5, iat: seconds() + 5 })],
    ['of the plain type', () => token({}, { typ: 'JWT' })],
    ['without a type', () => token({}, { typ: undefined })],
  ])('is let in, so that the forged ones are refused for what is wrong with them: %s', async (_, make) => {
    expect((await api.anonymous.get('/builds', byHeader(make()))).status).toBe(200);
    expect((await askUpgrade(api.port, streamPath(), byHeader(make()))).status).toBe(101);
  });
});

describe.each(forged)('an outside token with or of %s', (_, make) => {
  it('is refused by a route and at the door of the stream', async () => {
    const credential = make();
    expectRefusal(await api.anonymous.get('/builds', byHeader(credential)));
    expectRefusal(await askUpgrade(api.port, streamPath(), byHeader(credential)));
    const offered = `imagefactory.logs.v1, bearer.${credential}`;
    expectRefusal(await askUpgrade(api.port, streamPath(), { 'Sec-WebSocket-Protocol': offered }));
  });
});

it('follows no address of a token, and asks the issuer a few times at most for all of these', () => {
  expect(issuer.asked.filter((path) => path.includes('json') || path.includes('pem'))).toEqual([]);
  expect(issuer.keyRequests).toBeLessThanOrEqual(5);
});

it('verifies neither our own nor outside tokens by the database, once the tenant is known', async () => {
  expect((await api.anonymous.get('/builds', byHeader(token()))).status).toBe(200);
  await api.dropDatabase();
  // 403 comes from the token alone; what asks the database is 503.
  expect((await api.anonymous.get('/users', byHeader(token()))).status).toBe(403);
  expect((await world.with('build:read').get('/users')).status).toBe(403);
  expect((await api.anonymous.get('/builds', byHeader(token()))).status).toBe(503);
});
