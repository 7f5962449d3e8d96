// The PostgreSQL server of one test run, in a process of its own that ends when its standard input does: so the
// server is gone after the run, however the run ended. Prints one line of JSON when it is ready.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres';
import { migrate } from '../../src/database/migrate';

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'image-factory-test-'));
  process.once('exit', () => {
    rmSync(dataDir, { recursive: true, force: true });
  });
  const logger = { log: () => undefined, warn: say, error: say };
  // Nothing of a test must survive a power failure.
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' };
  const server = await startEmbeddedPostgres({ dataDir, logger, settings });
  try {
    await migrate(server.url);
    process.stdout.write(`${JSON.stringify({ url: server.url, dataDir })}\n`);
    await new Promise((resolve) => process.stdin.once('end', resolve).once('error', resolve).resume());
  } finally {
    await server.stop();
  }
}

// A Ctrl-C at the terminal reaches this process too; the run ends it when its workers have finished.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
