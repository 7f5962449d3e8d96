import http from 'node:http';
import { Answer } from '../support/caller';
import { exchange } from '../support/exchange';
import { askUpgrade } from '../support/upgrade';
import { listOf, treeAt } from '../support/openapi/document';
import type { Mutation, RequestPlan } from './plan';
import type { FuzzWorld } from './world';

const lanes = 24;

/** A request as it goes out. */
export interface ReadyRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Whether its path is that of its operation for sure, whatever stands in its parameters. */
  readonly isRouted: boolean;
}

/** Fills in what a plan leaves open. */
export function ready(
  { operation, actor, id, names, query, headers, body }: RequestPlan,
  world: FuzzWorld,
): ReadyRequest {
  const kind = operation.path.split('/')[1] ?? '';
  const others = [...names];
  let isRouted = true;
  const filled = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const text = name === 'id' ? world.idFor(actor, kind, id) : (others.shift() ?? 'x');
    isRouted &&= /^[\w-]+$/.test(text);
    return inPath(text);
  });
  const search = query.map(([name, value]) => `${inPath(name)}=${inPath(value)}`).join('&');
  const token = world.tokenOf(actor);
  const content =
    body.kind === 'credential'
      ? { type: 'application/json', text: JSON.stringify(world.credentialFor(operation.id)) }
      : contentOf(body, (wish) => world.idFor(actor, 'projects', wish));
  return {
    method: operation.method,
    path: `/api/v1${filled}${search === '' ? '' : `?${search}`}`,
    headers: {
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...(content === null ? {} : { 'Content-Type': content.type }),
      ...Object.fromEntries(headers),
    },
    body: content?.text ?? null,
    isRouted,
  };
}

function contentOf(
  body: Exclude<RequestPlan['body'], { readonly kind: 'credential' }>,
  idFor: (wish: RequestPlan['id']) => string,
): { readonly type: string; readonly text: string } | null {
  if (body.kind === 'none') return null;
  if (body.kind === 'raw') return body;
  const { value } = body;
  const isAboutProject = typeof value === 'object' && value !== null && typeof treeAt(value).project_id === 'string';
  const filled = isAboutProject ? { ...value, project_id: idFor(body.project) } : value;
  return { type: 'application/json', text: JSON.stringify(filled) };
}

/** What cannot stand in a request line is encoded; what only looks odd stays as it is. */
function inPath(text: string): string {
  if (/^[\x21-\x7e]*$/.test(text) && !/[?#&]/.test(text)) return text.slice(0, 9_000);
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '\ufffd'));
}

/** Sends requests over connections that are kept. */
export class Sender {
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: lanes });

  public constructor(private readonly port: number) {}

  /** @throws Error when no answer comes: the connection broke, or nothing came for 30 s */
  public send({ operation, mutation }: RequestPlan, request: ReadyRequest): Promise<Answer | null> {
    if (mutation !== null) return exchange(this.port, mutated(bytesOf(request), mutation), true);
    if (operation.id === 'streamBuildLogs') return askUpgrade(this.port, request.path, request.headers);
    return this.ask(request);
  }

  public close(): void {
    this.agent.destroy();
  }

  private ask({ method, path, headers, body }: ReadyRequest): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const length = body === null ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
      const options = { host: '127.0.0.1', port: this.port, agent: this.agent, method, path };
      const asked = http.request({ ...options, headers: { ...headers, ...length }, timeout: 30_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const pairs = Object.entries(response.headersDistinct).map(([name, values]): [string, string] => [
            name,
            listOf(values).join(', '),
          ]);
          resolve(new Answer(response.statusCode ?? 0, new Headers(pairs), Buffer.concat(chunks).toString()));
        });
      });
      asked.on('timeout', () => asked.destroy(new Error('No answer within 30 s')));
      asked.on('error', reject);
      asked.end(body ?? undefined);
    });
  }
}

function bytesOf({ method, path, headers, body }: ReadyRequest): Buffer {
  const all = {
    Host: '127.0.0.1',
    Connection: 'close',
    ...headers,
    'Content-Length': String(Buffer.byteLength(body ?? '')),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from([`${method} ${path} HTTP/1.1`, ...lines, '', body ?? ''].join('\r\n'));
}

function mutated(bytes: Buffer, { kind, at, text }: Mutation): Buffer {
  const place = Math.floor(at * (bytes.length - 1));
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 'flip': {
      const copy = Buffer.from(bytes);
      copy[place] = (copy[place] ?? 0) ^ (1 << (place % 8));
      return copy;
    }
    case 'cut':
      return before;
    case 'double':
      return Buffer.concat([before, after, after]);
    case 'insert':
      return Buffer.concat([before, Buffer.from(text), after]);
  }
}
