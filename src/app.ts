import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Logger } from 'pino';
import { version } from '../package.json';
import { AppModule } from './app.module';
import { RefusalLog } from './audit/refusal-log';
import { LogStreamDoor } from './build-logs/log-stream.door';
import type { Env } from './config/env';
import { Lifetime } from './config/lifetime';
import { NestPinoLogger } from './config/logger';
import { answerClientErrors } from './http/client-error';
import { allowOrigins } from './http/cors';
import { BareExpressAdapter } from './http/express.adapter';
import { openApiDocument, serveDocument } from './http/openapi';
import { noStore } from './http/no-store.middleware';
import { requestLog } from './http/request-log';
import { trace } from './http/trace.middleware';
import { requireHost } from './http/require-host.middleware';
import { securityHeaders } from './http/security-headers';
import { takeUndecodablePath } from './http/undecodable-path.middleware';
import { failed, unmatched } from './http/unmatched';
import { UpgradeAdapter } from './http/upgrade.adapter';

const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;

/**
 * The whole application, ready to listen. Tests make it by this as well, so that they see what clients see.
 * @param lifetime ends the start as well: what has been started is then given up.
 */
export async function createApp(env: Env, logger: Logger, lifetime = new Lifetime()): Promise<NestExpressApplication> {
  const adapter = new BareExpressAdapter(lifetime.hurry);
  const app = await NestFactory.create<NestExpressApplication>(AppModule.with(env, lifetime), adapter, {
    logger: new NestPinoLogger(logger),
    bodyParser: false,
    abortOnError: false,
  });
  app.disable('x-powered-by');
  app.set('etag', false);
  app.setGlobalPrefix('api/v1', { exclude: ['health/*path'] });
  app.use(trace, securityHeaders, requestLog(logger), requireHost, takeUndecodablePath);
  allowOrigins(app, env.ALLOWED_ORIGINS);
  app.use('/api/v1', noStore, app.get(RefusalLog).middleware());
  const stopListening = (): void => {
    adapter.stopListening();
  };
  app.useWebSocketAdapter(new UpgradeAdapter(app, [app.get(LogStreamDoor)], stopListening));

  const server = app.getHttpServer();
  server.headersTimeout = headersTimeoutMs;
  server.requestTimeout = requestTimeoutMs;
  answerClientErrors(server);

  try {
    lifetime.stop.throwIfAborted();
    const document = openApiDocument(app, version);
    serveDocument(app, document);
    await app.init();
    app.use(unmatched(document), failed);
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}
