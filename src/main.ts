import 'reflect-metadata';
import { createApp } from './app';
import { parseEnv } from './config/env';
import { hasCode } from './config/error-code';
import { createLogger } from './config/logger';

// Not all that Nest would listen to: after a SIGSEGV and its like no handler can run any more.
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const stop = new AbortController();

function stopStarting(): void {
  stop.abort(new Error('it was told to stop'));
}

async function main(): Promise<void> {
  for (const signal of stopSignals) process.on(signal, stopStarting);
  const env = parseEnv(process.env);
  const logger = createLogger(env.LOG_LEVEL);
  const app = await createApp(env, logger, stop.signal);
  try {
    await app.listen(env.PORT, env.HOST);
    stop.signal.throwIfAborted();
  } catch (error) {
    await app.close();
    throw hasCode(error, 'EADDRINUSE')
      ? new Error(`${env.HOST}:${env.PORT} is in use: stop what listens there, or set PORT`)
      : error;
  }
  app.enableShutdownHooks([...stopSignals], { useProcessExit: true });
  for (const signal of stopSignals) process.off(signal, stopStarting);
  const url = await app.getUrl();
  logger.info({ url, roles: env.ROLES }, `Image Factory serves ${url}; its documentation is at ${url}/api/docs`);
}

main().catch((error: unknown) => {
  if (stop.signal.aborted) process.exit(0);
  process.stderr.write(`Image Factory could not start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
