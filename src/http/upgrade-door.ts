import type { IncomingMessage } from 'node:http';

/** A place that was granted at a door, until the connection that took it is gone. */
export interface Admission {
  /** Gives the place back. Called exactly once, also when no connection came of it. */
  release(): void;
}

/**
 * Who may open a WebSocket at one path. A door refuses by throwing what an HTTP route would throw, and the client gets
 * it as an ordinary HTTP answer before anything is upgraded. Between the two steps the adapter checks the handshake
 * itself, so that the order of answers is that of every route: 401, 403, 400, 404.
 */
export interface UpgradeDoor<Visitor = unknown, Granted extends Admission = Admission> {
  /** The `path` of the gateway behind this door. */
  readonly path: string;
  /** The parameters in a path that belongs to this door, still encoded; null for any other path. */
  match(pathname: string): Readonly<Record<string, string>> | null;
  /** @throws HttpException 401 or 403 */
  identify(request: IncomingMessage): Promise<Visitor>;
  /**
   * The gateway's `handleConnection` gets what this grants as its third argument.
   * @throws HttpException 400, 404, 429 and the like
   */
  admit(visitor: Visitor, params: Readonly<Record<string, string>>, query: URLSearchParams): Promise<Granted>;
}
