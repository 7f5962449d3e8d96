import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type Socket, Server as TcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is known of a connection. */
interface Connection {
  /** Answers that are owed, the last of them the newest. */
  readonly owed: Set<ServerResponse>;
  /** How much had come when nothing was owed any more: what came since is the beginning of a request. */
  readBefore: number;
}

/**
 * Ends a server without breaking off what it has begun: a request whose head has begun to come is answered, with
 * `Connection: close`, before its connection is closed; a connection on which nothing is asked is closed at once.
 */
export class ConnectionDrain {
  private readonly connections = new Map<Socket, Connection>();
  private isEnding = false;
  private reportEmpty: () => void = () => undefined;

  public constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => {
      this.take(socket);
    });
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      this.owe(request.socket, response);
    });
  }

  /** Takes no more connections, and lets those that are open end one by one. */
  public begin(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    // Not by HTTP's own `close`, which also closes connections whose answer is still being sent.
    if (this.server.listening) TcpServer.prototype.close.call(this.server);
    for (const [socket, connection] of this.connections) {
      for (const response of connection.owed) announceClose(response, connection);
      if (isIdle(socket, connection)) socket.destroySoon();
    }
  }

  /** Resolves when all connections are closed, with the number of those that had to be cut off. */
  public async end(withinMs: number, hurry: AbortSignal): Promise<number> {
    this.begin();
    const empty = new Promise<void>((resolve) => {
      this.reportEmpty = resolve;
    });
    if (this.connections.size > 0) await Promise.race([empty, patience(withinMs, hurry)]);
    const late = [...this.connections.keys()];
    for (const socket of late) socket.destroy();
    // Stops what Node still watches the connections with.
    this.server.close();
    return late.length;
  }

  /** A connection may come twice: an upgrade that nobody takes begins it anew. */
  private take(socket: Socket): void {
    if (this.connections.has(socket)) return;
    this.connections.set(socket, { owed: new Set(), readBefore: 0 });
    socket.once('close', () => {
      this.connections.delete(socket);
      if (this.connections.size === 0) this.reportEmpty();
    });
  }

  private owe(socket: Socket, response: ServerResponse): void {
    const connection = this.connections.get(socket);
    if (connection === undefined) return;
    connection.owed.add(response);
    if (this.isEnding) announceClose(response, connection);
    response.once('close', () => {
      connection.owed.delete(response);
      connection.readBefore = socket.bytesRead;
      // An answer whose head was sent before did not say that it is the last.
      if (this.isEnding && isIdle(socket, connection)) socket.destroySoon();
    });
  }
}

/** Of several answers that are owed on a connection only the last one may close it. */
function announceClose(response: ServerResponse, { owed }: Connection): void {
  const isLast = [...owed].at(-1) === response;
  if (isLast && !response.headersSent) response.setHeader('Connection', 'close');
}

function isIdle(socket: Socket, { owed, readBefore }: Connection): boolean {
  return owed.size === 0 && socket.bytesRead === readBefore;
}

async function patience(ms: number, hurry: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: hurry, ref: false }).catch(() => undefined);
}
