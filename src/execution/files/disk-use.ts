import { existsSync } from 'node:fs';
import { toolPath } from '../cage/cage-identity';
import type { Cage } from '../cage/cage';
import { isWithin } from './is-within';
import { runProcess, type RunProcess } from '../process/run-process';

/** What trees take of their file system: bytes in blocks, so that holes count nothing, and files with directories. */
export interface DiskUse {
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Measures trees, each of which lies in one of the directories. What is linked several times counts once; what goes away
 * meanwhile is no trouble. By du(1), which goes from directory to directory without paths, so that nobody leads it away.
 */
export async function diskUse(
  cage: Cage,
  directories: readonly string[],
  trees: readonly string[],
  signal: AbortSignal,
): Promise<DiskUse> {
  const shown = directories.filter((directory) => existsSync(directory));
  const seen = trees.filter((tree) => shown.some((directory) => isWithin(directory, tree)));
  if (seen.length === 0) return { bytes: 0, inodes: 0 };
  if (process.geteuid?.() === 0) return await totals(runProcess, seen, signal);
  // Subordinate users of ours own what is in there; in a cage it is ours.
  const view = cage.view({
    writable: {},
    readOnly: Object.fromEntries(shown.map((each, index) => [`${index}`, each])),
  });
  return await totals(
    view.run('none'),
    seen.map((tree) => view.inside(tree)),
    signal,
  );
}

async function totals(run: RunProcess, trees: readonly string[], signal: AbortSignal): Promise<DiskUse> {
  const total = async (what: string): Promise<number> => {
    let last = '';
    await run(['du', '-scx', what, '--files0-from=-'], {
      env: { PATH: toolPath, LC_ALL: 'C' },
      stdin: trees.map((tree) => `${tree}\0`).join(''),
      signal,
      onLine: ({ stream, text }) => {
        if (stream === 'stdout') last = text;
      },
    });
    const [, number] = /^(\d+)\ttotal$/.exec(last) ?? [];
    if (number === undefined) throw new Error('du told no total');
    return Number(number);
  };
  return { bytes: await total('--block-size=1'), inodes: await total('--inodes') };
}
