import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { isConnectionRefusedByServer, isDatabaseUnavailable } from './database-errors';
import { StartError } from '../config/start-error';

const patienceMs = 30_000;
const oldestVersion = 14;

/**
 * Waits until the database answers, up to 30 s, and sees that its server is new enough.
 * @throws StartError with one line: it does not answer, refuses us, or is older than PostgreSQL 14.
 * @throws the signal's reason after an abort.
 */
export async function awaitServer(
  url: string,
  logger: Pick<Console, 'log'>,
  signal = new AbortController().signal,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    const client = clientFor(url);
    const place = client.host.startsWith('/') ? client.host : `${client.host}:${client.port}`;
    const giveUp = (): void => void client.end();
    signal.addEventListener('abort', giveUp);
    try {
      await client.connect();
      checkVersion((await client.query<{ server_version: string }>('SHOW server_version')).rows);
      return;
    } catch (cause) {
      signal.throwIfAborted();
      const reason = reasonOf(cause);
      if (isConnectionRefusedByServer(cause) || !isDatabaseUnavailable(cause)) {
        throw new StartError(`The database at ${place} refused: ${reason}`, { cause });
      }
      if (Date.now() > deadline) throw new StartError(`The database at ${place} does not answer: ${reason}`, { cause });
      if (attempt === 1) logger.log(`Waiting for the database at ${place} (${reason})`);
      await sleep(250, undefined, { signal }).catch(() => undefined);
    } finally {
      signal.removeEventListener('abort', giveUp);
      await client.end();
    }
  }
}

function clientFor(url: string): Client {
  try {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
    client.on('error', () => undefined);
    return client;
  } catch (cause) {
    throw new StartError(`DATABASE_URL cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

function checkVersion(rows: readonly { server_version: string }[]): void {
  const version = rows[0]?.server_version ?? '';
  if (Number.parseInt(version, 10) < oldestVersion) {
    throw new Error(`it is PostgreSQL ${version}, and at least ${oldestVersion} is needed`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return (error.errors as unknown[]).map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
