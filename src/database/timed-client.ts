import { Client, type ClientConfig } from 'pg';

export interface TimedClientConfig extends ClientConfig {
  /** `connectionTimeoutMillis` of a pool bounds the wait for a free connection; this one bounds connecting. */
  readonly newConnectionTimeoutMillis?: number;
}

/**
 * A connection that is closed when a statement on it was not answered in time. `pg` alone would hand the connection,
 * which still waits for that answer, to the next user, and a ROLLBACK would wait behind it as long again.
 */
export class TimedClient extends Client {
  public constructor(config: TimedClientConfig) {
    super({ ...config, connectionTimeoutMillis: config.newConnectionTimeoutMillis ?? config.connectionTimeoutMillis });
  }
}

// Not written as a method: `query` has a dozen overloads, and what they differ in does not matter here.
const untimed: unknown = Reflect.get(Client.prototype, 'query');
Object.defineProperty(TimedClient.prototype, 'query', {
  value: function (this: Client, ...args: unknown[]): unknown {
    const result: unknown = typeof untimed === 'function' ? Reflect.apply(untimed, this, args) : undefined;
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (error instanceof Error && error.message === 'Query read timeout') void this.end();
      });
    }
    return result;
  },
});
