import { Client, type ClientConfig } from 'pg';

export interface PooledClientConfig extends ClientConfig {
  /** `connectionTimeoutMillis` of a pool bounds the wait for a free connection; this one bounds connecting. */
  readonly newConnectionTimeoutMillis?: number;
}

/** Statements that each connection keeps prepared; one of ours beyond them is parsed and planned each time. */
const mostPrepared = 500;
const names = new Map<string, string>();

/** One name for one text, so that the server parses it once on a connection. */
function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size === mostPrepared) return known;
  const name = `statement_${names.size + 1}`;
  names.set(text, name);
  return name;
}

/** A statement with parameters is one of few, which come again and again. */
function prepared(args: readonly unknown[]): readonly unknown[] {
  const [text, values, ...others] = args;
  if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) return args;
  return [{ name: nameOf(text), text, values }, ...others];
}

/**
 * A connection that prepares its statements, and that is closed when one was not answered in time. `pg` alone would hand the
 * connection, which still waits for that answer, to the next user, and a ROLLBACK would wait behind it as long again.
 */
export class PooledClient extends Client {
  public constructor(config: PooledClientConfig) {
    super({ ...config, connectionTimeoutMillis: config.newConnectionTimeoutMillis ?? config.connectionTimeoutMillis });
  }
}

// Not written as a method: `query` has a dozen overloads, and what they differ in does not matter here.
const untimed: unknown = Reflect.get(Client.prototype, 'query');
Object.defineProperty(PooledClient.prototype, 'query', {
  value: function (this: Client, ...args: unknown[]): unknown {
    const result: unknown = typeof untimed === 'function' ? Reflect.apply(untimed, this, prepared(args)) : undefined;
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (error instanceof Error && error.message === 'Query read timeout') void this.end();
      });
    }
    return result;
  },
});
