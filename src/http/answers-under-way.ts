import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Knows which connections still owe an answer. A client may send requests without waiting for the answers, and Node hands
 * an upgrade over as soon as it has read it: whoever answers it at once would come before the answers to the others.
 */
export class AnswersUnderWay {
  private readonly last = new WeakMap<Duplex, ServerResponse>();
  private readonly ending = new WeakSet<Duplex>();
  private readonly note = (request: IncomingMessage, response: ServerResponse): void => {
    this.last.set(request.socket, response);
    if (this.ending.has(request.socket)) response.setHeader('Connection', 'close');
  };

  public constructor(private readonly server: Server) {
    server.prependListener('request', this.note);
  }

  /** Resolves when all that was asked before on this connection is answered, or the connection is gone. */
  public async finished(connection: Duplex): Promise<void> {
    const last = this.last.get(connection);
    if (last !== undefined && !last.writableFinished && !last.destroyed) await once(last, 'close');
  }

  /** The connection shall be closed after its next answer. */
  public end(connection: Duplex): void {
    this.ending.add(connection);
  }

  public detach(): void {
    this.server.off('request', this.note);
  }
}
