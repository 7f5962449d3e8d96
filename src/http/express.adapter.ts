import { Logger, type NestApplicationOptions, StreamableFile } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Response } from 'express';
import { ConnectionDrain } from './connection-drain';

/** How long requests that are under way may take once the server shuts down. */
const drainMs = 10_000;

/** How often Node looks for requests that take too long; by itself it would let them go on for half a minute more. */
const checkingMs = 2_000;

/**
 * Express without Nest's own last handlers, which cover the global prefix only and know no 405: what no route took, and
 * what fails outside of every route, is answered by ours (`unmatched.ts`) for all paths alike.
 */
export class BareExpressAdapter extends ExpressAdapter {
  private readonly log = new Logger('HttpServer');
  private drain: ConnectionDrain | undefined;

  /** @param hurry ends the wait for requests under way at once */
  public constructor(private readonly hurry: AbortSignal) {
    super();
  }

  public override setNotFoundHandler(): this {
    return this;
  }

  public override setErrorHandler(): this {
    return this;
  }

  /** What handlers return, without what Express looks for in each answer and we have not: ETags, callbacks, other types. */
  public override reply(response: Response, body: unknown, statusCode?: number): unknown {
    const isData = typeof body === 'object' && body !== null && !(body instanceof StreamableFile);
    if (!isData || response.hasHeader('Content-Type')) return super.reply(response, body, statusCode) as unknown;
    const text = JSON.stringify(body);
    if (statusCode !== undefined) response.statusCode = statusCode;
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.setHeader('Content-Length', Buffer.byteLength(text));
    return response.end(text);
  }

  /** Node would answer a request without Host by itself and without a body; `requireHost` does in its place. */
  public override initHttpServer(options: NestApplicationOptions): void {
    super.initHttpServer(options);
    Reflect.set(this.httpServer, 'requireHostHeader', false);
    Reflect.set(this.httpServer, 'connectionsCheckingInterval', checkingMs);
    this.drain = new ConnectionDrain(this.httpServer);
  }

  /** Takes no more connections; requests under way go on. */
  public stopListening(): void {
    this.drain?.begin();
  }

  /** Resolves when every request that was under way is answered, or had its time. */
  public override async close(): Promise<void> {
    const cut = await this.drain?.end(drainMs, this.hurry);
    if (cut !== undefined && cut > 0) this.log.warn(`${cut} connections were cut: they took too long`);
  }
}
