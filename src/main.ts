import 'reflect-metadata';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { createApp } from './app';
import { type Env, parseEnv } from './config/env';
import { hasCode } from './config/error-code';
import { Lifetime } from './config/lifetime';
import { createLogger } from './config/logger';

// Not all that Nest would listen to: after a SIGSEGV and its like no handler can run any more.
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One Ctrl-C may reach a process twice, by its terminal and by the program that started it. */
const sameSignalMs = 1_000;

/** How long the connections to an operator's database may take to close: one that hangs never answers. */
const disconnectMs = 10_000;

const lifetime = new Lifetime();
let toldAt = Number.NEGATIVE_INFINITY;

function onStopSignal(): void {
  const isAgain = lifetime.stop.aborted;
  if (isAgain && performance.now() - toldAt < sameSignalMs) return;
  toldAt = performance.now();
  lifetime.end();
}

async function main(): Promise<void> {
  for (const signal of stopSignals) process.on(signal, onStopSignal);
  const { app, env, logger } = await start().catch(endBeforeStart);
  if (!lifetime.stop.aborted) await once(lifetime.stop, 'abort');
  try {
    await shutDown(app, env, logger);
  } catch (error) {
    logger.error(error, 'Image Factory could not shut down in order');
    process.exit(1);
  }
}

async function start(): Promise<{ readonly app: NestExpressApplication; readonly env: Env; readonly logger: Logger }> {
  const env = parseEnv(process.env);
  const logger = createLogger(env.LOG_LEVEL);
  const app = await createApp(env, logger, lifetime);
  try {
    await app.listen(env.PORT, env.HOST);
    lifetime.stop.throwIfAborted();
  } catch (error) {
    await app.close();
    throw hasCode(error, 'EADDRINUSE')
      ? new Error(`${env.HOST}:${env.PORT} is in use: stop what listens there, or set PORT`)
      : error;
  }
  const url = await app.getUrl();
  logger.info({ url, roles: env.ROLES }, `Image Factory serves ${url}; its documentation is at ${url}/api/docs`);
  return { app, env, logger };
}

function endBeforeStart(error: unknown): never {
  if (lifetime.stop.aborted) process.exit(0);
  process.stderr.write(`Image Factory could not start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

/** Ends the process: with status 0 when all came to its end, with 1 when something had to be left. */
async function shutDown(app: NestExpressApplication, env: Env, logger: Logger): Promise<void> {
  logger.info('Image Factory shuts down');
  const leave = (): void => {
    for (const what of lifetime.leftUndone) logger.error(what);
    process.exit(lifetime.leftUndone.length === 0 ? 0 : 1);
  };
  // The embedded server bounds its own end.
  if (env.DATABASE_URL !== undefined) {
    app.getHttpServer().once('close', () => {
      setTimeout(() => {
        lifetime.leaveUndone('The connections to the database did not close in time');
        leave();
      }, disconnectMs).unref();
    });
  }
  await app.close();
  leave();
}

void main();
