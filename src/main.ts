import 'reflect-metadata';
import { createApp } from './app';
import { parseEnv } from './config/env';
import { createLogger } from './config/logger';

async function main(): Promise<void> {
  const env = parseEnv(process.env);
  const logger = createLogger(env.LOG_LEVEL);
  const app = await createApp(env, logger);
  app.enableShutdownHooks([], { useProcessExit: true });
  await app.listen(env.PORT, env.HOST);
  logger.info({ url: await app.getUrl(), roles: env.ROLES }, 'Image Factory serves');
}

main().catch((error: unknown) => {
  process.stderr.write(`Image Factory could not start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
