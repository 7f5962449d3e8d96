import type { INestApplicationContext } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import type { MessageMappingProperties } from '@nestjs/websockets';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Observable } from 'rxjs';
import type { WebSocket, WebSocketServer } from 'ws';
import { AnswersUnderWay } from './answers-under-way';
import { ApiError } from './api-error';
import { answerWithoutUpgrade, refuseUpgrade } from './upgrade-answer';
import type { UpgradeDoor } from './upgrade-door';
import { checkHandshake, wantsWebSocket } from './upgrade-handshake';

/** How long a client may take to answer the close of a server that shuts down. */
const closeGraceMs = 1_000;

/** The path and the query of a request target, whatever the client put there. */
function targetOf(request: IncomingMessage): { pathname: string; query: URLSearchParams } {
  const [pathname = '', ...rest] = (request.url ?? '').split('?');
  return { pathname, query: new URLSearchParams(rest.join('?')) };
}

/** Where an upgrade was asked for. */
interface Place {
  readonly port: number;
  readonly httpServer: Server;
  readonly answers: AnswersUnderWay;
}

/**
 * Nest's adapter for `ws` with its own way to listen: every upgrade is decided by a door, and each refusal is an HTTP
 * answer in the error envelope. It knows no feature.
 */
export class UpgradeAdapter extends WsAdapter {
  private closing = false;
  private readonly detach: (() => void)[] = [];

  /** @param stopListening keeps clients out once the streams are told that the server goes away */
  public constructor(
    app: INestApplicationContext,
    private readonly doors: readonly UpgradeDoor[],
    private readonly stopListening: () => void = () => undefined,
  ) {
    super(app);
  }

  /** Without handlers nothing listens, so messages are read and dropped unparsed. */
  public override bindMessageHandlers(
    client: WebSocket,
    handlers: MessageMappingProperties[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    if (handlers.length > 0) super.bindMessageHandlers(client, handlers, transform);
  }

  /** A client that breaks the protocol is closed by `ws` with the right code: that is no error of ours. */
  public override bindErrorHandler(server: WebSocketServer): WebSocketServer {
    server.on('connection', (client) => {
      client.on('error', (error) => {
        this.logger.debug(`A WebSocket was closed: ${error.message}`);
      });
    });
    server.on('error', (error) => {
      this.logger.error(error);
    });
    server.on('wsClientError', (error, socket, request) => {
      refuseUpgrade(request, socket, new ApiError(400, error.message));
    });
    return server;
  }

  /**
   * Says goodbye with 1001, and ends what has not answered after a short time. Nobody is let in meanwhile: whoever comes
   * back must find another server.
   */
  public override async close(server: WebSocketServer): Promise<void> {
    this.closing = true;
    this.stopListening();
    const closed = new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
    for (const client of server.clients) client.close(1001, 'The server is shutting down');
    const timer = setTimeout(() => {
      for (const client of server.clients) client.terminate();
    }, closeGraceMs);
    await closed;
    clearTimeout(timer);
  }

  public override async dispose(): Promise<void> {
    for (const detach of this.detach.splice(0)) detach();
    await super.dispose();
  }

  protected override ensureHttpServerExists(port: number, httpServer?: Server): Server | undefined {
    if (httpServer === undefined) return super.ensureHttpServerExists(port);
    if (this.httpServersRegistry.has(port)) return undefined;
    this.httpServersRegistry.set(port, httpServer);
    const answers = new AnswersUnderWay(httpServer);
    const listener = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      void this.take({ port, httpServer, answers }, request, socket, head);
    };
    httpServer.on('upgrade', listener);
    this.detach.push(() => {
      httpServer.off('upgrade', listener);
      answers.detach();
    });
    return httpServer;
  }

  private async take(
    { port, httpServer, answers }: Place,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const onError = (): void => {
      socket.destroy();
    };
    socket.on('error', onError);
    await answers.finished(socket);
    if (!wantsWebSocket(request)) {
      socket.off('error', onError);
      // Each new start leaves listeners on the connection.
      answers.end(socket);
      answerWithoutUpgrade(httpServer, request, socket, head);
      return;
    }
    try {
      await this.open(port, request, socket, head);
    } catch (error) {
      const { status, traceId } = refuseUpgrade(request, socket, error);
      if (status >= 500 && !this.closing) {
        this.logger.error({ err: error, trace_id: traceId }, `An upgrade was refused with ${status}`);
      }
      return;
    }
    socket.off('error', onError);
  }

  private async open(port: number, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    this.checkServing();
    const { pathname, query } = targetOf(request);
    const { door, params } = this.doorOf(pathname);
    const visitor = await door.identify(request);
    checkHandshake(request);
    const admission = await door.admit(visitor, params, query);
    const outcome = { isUpgraded: false };
    try {
      this.checkServing();
      // Bytes that came while the door decided wait in the socket, behind `head`.
      const server = this.serverOf(port, door.path);
      server.handleUpgrade(request, socket, head, (client) => {
        outcome.isUpgraded = true;
        client.once('close', () => {
          admission.release();
        });
        try {
          server.emit('connection', client, request, admission);
        } catch (error) {
          this.logger.error(error, 'A gateway failed to take a connection');
          client.close(1011);
        }
      });
    } finally {
      if (!outcome.isUpgraded) admission.release();
    }
  }

  private checkServing(): void {
    if (!this.closing) return;
    throw new ApiError(503, 'The server is shutting down', null, { headers: { 'Retry-After': '1' } });
  }

  private doorOf(pathname: string): { door: UpgradeDoor; params: Readonly<Record<string, string>> } {
    for (const door of this.doors) {
      const params = door.match(pathname);
      if (params !== null) return { door, params };
    }
    throw new ApiError(404, 'There is no WebSocket at this path');
  }

  private serverOf(port: number, path: string): WebSocketServer {
    const servers: readonly WebSocketServer[] = this.wsServersRegistry.get(port) ?? [];
    const server = servers.find((candidate) => candidate.path === path);
    if (server === undefined) throw new Error(`No gateway has the path ${path}`);
    return server;
  }
}
