import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';

/**
 * Express without Nest's own last handlers, which cover the global prefix only and know no 405: what no route took, and
 * what fails outside of every route, is answered by ours (`unmatched.ts`) for all paths alike.
 */
export class BareExpressAdapter extends ExpressAdapter {
  public override setNotFoundHandler(): this {
    return this;
  }

  public override setErrorHandler(): this {
    return this;
  }

  /** Node would answer a request without Host by itself and without a body; `requireHost` does in its place. */
  public override initHttpServer(options: NestApplicationOptions): void {
    super.initHttpServer(options);
    Reflect.set(this.httpServer, 'requireHostHeader', false);
  }
}
