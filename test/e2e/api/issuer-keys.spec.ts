import { errors } from 'jose';
import type { RequestListener } from 'node:http';
import { fetchKeys } from '../../../src/auth/oidc/fetch-keys';
import { IssuerKeys, type KeyTimes } from '../../../src/auth/oidc/issuer-keys';
import { ApiError } from '../../../src/http/api-error';
import { discoveryPath, keysPath, makeKey, OidcIssuer } from '../../support/oidc-issuer';
import { waitUntil } from '../../support/wait-until';

const times: KeyTimes = { refresh: 3_600_000, cooldown: 30_000, retry: 5_000, stale: 86_400_000 };

let issuer: OidcIssuer;
let keys: IssuerKeys | undefined;
/** What the operator hears. */
let failures: unknown[];
/** Milliseconds. */
let clock: number;

beforeEach(async () => {
  issuer = await OidcIssuer.start();
  clock = 1_000_000;
  failures = [];
});

afterEach(async () => {
  keys?.stop();
  keys = undefined;
  await issuer.down();
});

function holdKeys(changes: Partial<KeyTimes> = {}): IssuerKeys {
  keys = new IssuerKeys(
    () => fetchKeys(issuer.url),
    (error) => failures.push(error),
    { ...times, ...changes },
    () => clock,
  );
  return keys;
}

/** What becomes of a token with this key name. */
async function look(held: IssuerKeys, kid: string): Promise<'known' | 'unknown' | 503> {
  try {
    await held.keyFor({ alg: 'RS256', kid }, { payload: '', signature: '' });
    return 'known';
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'unknown';
    if (error instanceof ApiError && error.getStatus() === 503) return 503;
    throw error;
  }
}

const kid = (): string => issuer.key('RS256').jwk.kid;

describe('the keys that are held', () => {
  it('are asked for once by many who come at once', async () => {
    const held = holdKeys();
    expect(await Promise.all(Array.from({ length: 20 }, () => look(held, kid())))).toEqual(
      Array.from({ length: 20 }, () => 'known'),
    );
    expect(issuer.keyRequests).toBe(1);
  });

  it('are not asked for again and again by made-up names, and a rotation is seen after the cooldown', async () => {
    const held = holdKeys();
    await look(held, kid());
    for (let index = 0; index < 50; index += 1) expect(await look(held, `made up ${index}`)).toBe('unknown');
    expect(issuer.keyRequests).toBe(2);
    issuer.rotate();
    clock += times.cooldown - 1;
    expect(await look(held, kid())).toBe('unknown');
    clock += 1;
    expect(await look(held, kid())).toBe('known');
    expect(issuer.keyRequests).toBe(3);
  });

  it('follow a rotation at once when nobody made names up, as often as the issuer rotates', async () => {
    const held = holdKeys();
    for (let round = 0; round < 3; round += 1) {
      issuer.rotate();
      expect(await look(held, kid())).toBe('known');
    }
  });

  it('forget a key that the issuer has withdrawn, without any token that asks for it', async () => {
    const held = holdKeys({ refresh: 50 });
    const old = kid();
    held.start();
    await waitUntil(async () => (await look(held, old)) === 'known');
    issuer.rotate();
    await waitUntil(async () => (await look(held, old)) === 'unknown');
  });

  it('leave an issuer alone that does not answer, and outlive its absence, but not for ever', async () => {
    const held = holdKeys();
    const known = kid();
    await look(held, known);
    issuer.instead.set(discoveryPath, (_, response) => response.writeHead(500).end());
    const before = issuer.asked.length;
    for (let index = 0; index < 50; index += 1) await look(held, `made up ${index}`);
    expect([issuer.asked.length, failures.length]).toEqual([before + 1, 1]);
    expect(await look(held, known)).toBe('known');
    clock += times.stale + 1;
    expect(await look(held, known)).toBe(503);
    issuer.instead.clear();
    clock += times.retry;
    expect(await look(held, known)).toBe('known');
  });

  it('are 503 as long as there are none, and the issuer is asked every few seconds only', async () => {
    await issuer.down();
    const held = holdKeys();
    expect(await look(held, kid())).toBe(503);
    await issuer.up();
    expect(await look(held, kid())).toBe(503);
    expect(issuer.asked).toEqual([]);
    clock += times.retry;
    expect(await look(held, kid())).toBe('known');
  });
});

const answering =
  (body: unknown): RequestListener =>
  (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  };

const answerWithoutEnd: RequestListener = (_, response) => {
  const part = ' '.repeat(64 * 1_024);
  const write = (): void => {
    while (!response.destroyed && response.write(part));
    if (!response.destroyed) response.once('drain', write);
  };
  write();
};

const otherKinds: readonly unknown[] = [
  { kty: 'oct', k: 'AAAA', kid: 'a' },
  { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' },
  { kty: 'EC', crv: 'P-384', x: 'A', y: 'A' },
  null,
  5,
];

describe('an answer of the issuer', () => {
  it.each<[string, RegExp, string, () => RequestListener]>([
    [
      'the document of another issuer',
      /another issuer/,
      discoveryPath,
      () => answering({ issuer: 'https://other.example.com', jwks_uri: issuer.url + keysPath }),
    ],
    ['no document', /expected object/, discoveryPath, () => answering([])],
    ['no JSON', /not valid JSON/, discoveryPath, () => (_, response) => response.end('<html>')],
    [
      'keys at another kind of place',
      /in another way/,
      discoveryPath,
      () => answering({ issuer: issuer.url, jwks_uri: 'file:///etc/passwd' }),
    ],
    [
      'a redirect to the keys',
      /fetch failed/,
      keysPath,
      () => (_, response) => response.writeHead(302, { Location: `${issuer.url}/elsewhere` }).end(),
    ],
    ['404', /answered 404/, keysPath, () => (_, response) => response.writeHead(404).end(JSON.stringify({ keys: [] }))],
    ['no keys', /no key for/, keysPath, () => answering({ keys: [] })],
    ['only keys of other kinds', /no key for/, keysPath, () => answering({ keys: otherKinds })],
    [
      'more keys than anybody has',
      /<=100/,
      keysPath,
      () => answering({ keys: Array.from({ length: 101 }, () => issuer.key('ES256').jwk) }),
    ],
    ['more than one wants to read', /more than \d+ bytes/, keysPath, () => answerWithoutEnd],
  ])('is not taken: %s', async (_, reason, path, make) => {
    issuer.instead.set(path, make());
    issuer.instead.set('/elsewhere', answering({ keys: issuer.keys.map(({ jwk }) => jwk) }));
    await expect(fetchKeys(issuer.url)).rejects.toThrow(reason);
    expect(issuer.asked).not.toContain('/elsewhere');
    expect(await look(holdKeys(), kid())).toBe(503);
  });

  it('that never ends is given up', async () => {
    issuer.instead.set(keysPath, (_, response) => response.writeHead(200).write('{'));
    await expect(fetchKeys(issuer.url)).rejects.toThrow(/timeout/i);
  });

  it('is taken for its public halves alone', async () => {
    const { privateKey, jwk } = makeKey('RS256');
    issuer.instead.set(
      keysPath,
      answering({ keys: [{ ...privateKey.export({ format: 'jwk' }), kid: jwk.kid, x5c: ['AAAA'] }] }),
    );
    const {
      keys: [key],
    } = await fetchKeys(issuer.url);
    expect(key).toEqual({ kty: 'RSA', n: jwk.n, e: jwk.e, kid: jwk.kid });
  });

  it('may come from an issuer whose name ends with a slash', async () => {
    issuer.instead.set(discoveryPath, answering({ issuer: `${issuer.url}/`, jwks_uri: issuer.url + keysPath }));
    expect((await fetchKeys(`${issuer.url}/`)).keys).toHaveLength(2);
  });
});
