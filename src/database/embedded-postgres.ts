import { chmodSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { chooseAccount } from './embedded/account';
import { findBinaries } from './embedded/binaries';
import { lockFile, lockHolder } from '../config/file-lock';
import { prepareFiles } from './embedded/files';
import { LogFile } from './embedded/log-file';
import { endOrphan } from './embedded/orphan';
import { makeSocketDirectory, removeSocketDirectory } from './embedded/socket-directory';
import { Supervisor } from './embedded/supervisor';
import { StartError } from '../config/start-error';

export interface EmbeddedPostgresOptions {
  /** An absolute path; the server's files lie in `postgres` below it. */
  readonly dataDir: string;
  readonly logger: Pick<Console, 'log' | 'warn' | 'error'>;
  /** Settings of postgresql.conf over our own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Gives up the start. */
  readonly signal?: AbortSignal;
}

/** A running server, which is started again whenever it dies, until it is stopped. */
export interface EmbeddedPostgres {
  /** The service's own database. */
  readonly url: string;
  stop(): Promise<void>;
}

const ourSettings = {
  listen_addresses: '',
  port: '5432',
  unix_socket_permissions: '0700',
  shared_buffers: '128MB',
  max_connections: '100',
  fsync: 'on',
  synchronous_commit: 'on',
  idle_in_transaction_session_timeout: '60s',
  jit: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] ',
};

/**
 * Starts the PostgreSQL server that npm installed, on files below `dataDir`, which it makes at the first start.
 *
 * It listens on a Unix socket only and asks for no password. That is safe because the socket lies in a directory of
 * mode 0700 that belongs to the server's account: the kernel lets that account and root connect and nobody else, and
 * these two can read the files anyway. So there is no password that could be read or lost.
 *
 * @throws StartError with one line when it cannot run here, when another process uses `dataDir`, or when the files are
 * another major version's.
 * @throws the signal's reason after an abort, once nothing runs any more.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = findBinaries();
  const home = path.join(options.dataDir, 'postgres');
  const unlock = takeHome(options.dataDir, home);
  let log: LogFile | undefined;
  const cleanUp = (): void => {
    removeSocketDirectory(home);
    log?.close();
    unlock();
  };
  try {
    const account = chooseAccount({
      postgres: binaries.postgres,
      directory: options.dataDir,
      ownerOfFiles: statSync(path.join(home, 'data'), { throwIfNoEntry: false })?.uid,
    });
    await endOrphan(path.join(home, 'data'));
    const files = await prepareFiles(home, binaries.initdb, account, options.signal);
    log = new LogFile(path.join(home, 'log'));
    const socketDirectory = makeSocketDirectory(home, account);
    const settings = { ...ourSettings, ...options.settings };
    const server = new Supervisor(
      { program: binaries.postgres, account, files, socketDirectory, settings, log },
      options.logger,
    );
    await server.start(options.signal);
    let stopped: Promise<void> | undefined;
    return { url: server.url, stop: () => (stopped ??= server.stop().finally(cleanUp)) };
  } catch (error) {
    cleanUp();
    throw error;
  }
}

/** Makes the directories and takes the lock on them. Returns what releases it. */
function takeHome(dataDir: string, home: string): () => void {
  const lock = path.join(home, 'lock');
  let release: (() => void) | undefined;
  try {
    for (const directory of [dataDir, home]) {
      // Others may pass, so that the server's account can, but not look around.
      if (mkdirSync(directory, { recursive: true }) !== undefined) chmodSync(directory, 0o711);
    }
    release = lockFile(lock);
  } catch (cause) {
    throw new StartError(
      `The data directory ${dataDir} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
  if (release === undefined) {
    throw new StartError(
      `The data directory ${dataDir} is in use by a running service (process ${lockHolder(lock)}): stop it first, or set another DATA_DIR.`,
    );
  }
  return release;
}
