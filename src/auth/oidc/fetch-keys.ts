import type { JSONWebKeySet, JWK } from 'jose';
import { z } from 'zod';

const timeoutMs = 5_000;
/** Real documents have some 5 KiB. */
const mostBytes = 256 * 1_024;

/** OpenID Connect Discovery 1.0, section 3: what we read of it. */
const discovery = z.object({ issuer: z.string(), jwks_uri: z.url() });

const keySet = z.object({ keys: z.array(z.unknown()).max(100) });

/** RFC 7517 and 7518: the public parts of a key, and what says when it may be used. All else is left out. */
const usage = {
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.string()).optional(),
};
const publicKey = z.union([
  z.object({ kty: z.literal('RSA'), n: z.string(), e: z.string(), ...usage }),
  z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string(), ...usage }),
]);

/**
 * Asks an issuer for the public keys that it signs with.
 * @throws Error when it does not answer in time, answers too much, redirects, or answers what is no set of keys
 */
export async function fetchKeys(issuer: string): Promise<JSONWebKeySet> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = discovery.parse(await fetchJson(address));
  if (document.issuer !== issuer) throw new Error(`${address} is the document of another issuer`);
  if (new URL(document.jwks_uri).protocol !== new URL(issuer).protocol) {
    throw new Error(`${address} names keys at a place that is spoken to in another way`);
  }
  const { keys } = keySet.parse(await fetchJson(document.jwks_uri));
  const usable = keys.flatMap((key): JWK[] => {
    const { data } = publicKey.safeParse(key);
    return data === undefined ? [] : [data];
  });
  if (usable.length === 0) throw new Error(`${document.jwks_uri} has no key for RS256 or ES256`);
  return { keys: usable };
}

async function fetchJson(address: string): Promise<unknown> {
  // A redirect could lead anywhere, and no issuer needs one (Discovery, section 4.2: the answer is a 200).
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(address, { redirect: 'error', signal, headers: { Accept: 'application/json' } });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${address} answered ${response.status}`);
  }
  const answer: unknown = JSON.parse(response.body === null ? '' : await boundedText(response.body, address, signal));
  return answer;
}

/** Once `fetch` has answered, its signal may be forgotten with the request: the body is given up by the signal itself. */
async function boundedText(body: ReadableStream<Uint8Array>, address: string, signal: AbortSignal): Promise<string> {
  const reader = body.getReader();
  const giveUp = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', giveUp);
  try {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return Buffer.concat(parts).toString('utf8');
      bytes += value.byteLength;
      if (bytes > mostBytes) {
        giveUp();
        throw new Error(`${address} answered more than ${mostBytes} bytes`);
      }
      parts.push(value);
    }
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
