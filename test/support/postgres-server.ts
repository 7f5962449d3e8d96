// The PostgreSQL server of one test run, in a process of its own that ends when its standard input does: so the
// server is gone after the run, however the run ended. Its argument is JSON of TestServerOptions. Prints one line of
// JSON when it is ready.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres';
import { migrate } from '../../src/database/migrate';

export interface TestServerOptions {
  /** Removed at the end. */
  readonly dataDir?: string;
  /** Settings of postgresql.conf over those below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The test crashes it: nobody needs to be told. */
  readonly isQuiet?: boolean;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as TestServerOptions;
  const dataDir = options.dataDir ?? mkdtempSync(path.join(tmpdir(), 'image-factory-test-'));
  process.once('exit', () => {
    rmSync(dataDir, { recursive: true, force: true });
  });
  const tell = options.isQuiet === true ? (): void => undefined : say;
  const logger = { log: () => undefined, warn: tell, error: tell };
  // Nothing of a test must survive a power failure.
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '300',
    ...options.settings,
  };
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
