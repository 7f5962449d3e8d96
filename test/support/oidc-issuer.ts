import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Algorithm = 'RS256' | 'ES256';
export type Claims = Readonly<Record<string, unknown>>;

/** A pair of keys as an issuer has it. */
export interface IssuerKey {
  readonly alg: Algorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As the set of keys shows it. */
  readonly jwk: JsonWebKey & { readonly kid: string };
}

export const discoveryPath = '/.well-known/openid-configuration';
export const keysPath = '/keys';

export const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A key that nobody publishes yet; of another size or on another curve if wished. */
export function makeKey(alg: Algorithm, { bits = 2048, curve = 'P-256' } = {}): IssuerKey {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: bits })
      : generateKeyPairSync('ec', { namedCurve: curve });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
  return { alg, privateKey: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })), publicKey, jwk };
}

/** A token made by hand, so that every part of it can be wrong. */
export function signedBy(key: IssuerKey, claims: Claims, header: Claims = {}): string {
  const body = `${encode({ alg: key.alg, typ: 'at+jwt', kid: key.jwk.kid, ...header })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(body), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${body}.${signature.toString('base64url')}`;
}

/** An OpenID Connect issuer: a real server on the loopback address, with its discovery document and its keys. */
export class OidcIssuer {
  /** The keys that it publishes. */
  public keys: IssuerKey[];
  /** The paths that it was asked for. */
  public readonly asked: string[] = [];
  /** Answers in place of the usual. */
  public readonly instead = new Map<string, RequestListener>();
  private server: Server | undefined;

  private constructor(private port: number) {
    this.keys = [makeKey('RS256'), makeKey('ES256')];
  }

  public static async start(): Promise<OidcIssuer> {
    const issuer = new OidcIssuer(0);
    await issuer.up();
    return issuer;
  }

  public get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Its key for an algorithm. */
  public key(alg: Algorithm): IssuerKey {
    const key = this.keys.find((one) => one.alg === alg);
    if (key === undefined) throw new Error(`The issuer has no key for ${alg}`);
    return key;
  }

  /** Takes new keys in the place of all that it has. */
  public rotate(): void {
    this.keys = [makeKey('RS256'), makeKey('ES256')];
  }

  /** The claims of a good access token for the audience `image-factory-api`. */
  public claims(changes: Claims = {}): Claims {
    const now = Math.floor(Date.now() / 1000);
    const times = { iat: now, exp: now + 900 };
    return { iss: this.url, aud: 'image-factory-api', sub: 'auth0|5f7c8ec7c33c6c004bbafe82', ...times, ...changes };
  }

  /** An access token. */
  public token(
    changes: Claims = {},
    { alg = 'RS256', header = {} }: { alg?: Algorithm; header?: Claims } = {},
  ): string {
    return signedBy(this.key(alg), this.claims(changes), header);
  }

  /** How often it was asked for its keys. */
  public get keyRequests(): number {
    return this.asked.filter((path) => path === keysPath).length;
  }

  public async up(): Promise<void> {
    this.server = createServer((request, response) => {
      const path = request.url ?? '';
      this.asked.push(path);
      const instead = this.instead.get(path);
      if (instead !== undefined) {
        instead(request, response);
        return;
      }
      const answer = this.answerTo(path);
      response.writeHead(answer === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(answer ?? {}));
    }).listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  /** Nobody listens any more at its address. */
  public async down(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  private answerTo(path: string): object | undefined {
    if (path === discoveryPath) return { issuer: this.url, jwks_uri: this.url + keysPath };
    return path === keysPath ? { keys: this.keys.map(({ jwk }) => jwk) } : undefined;
  }
}
