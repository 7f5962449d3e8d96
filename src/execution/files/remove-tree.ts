import { toolPath } from '../cage/cage-identity';
import { runProcess } from '../process/run-process';

/** A storage of many layers on a slow disk takes its time. */
const mostMs = 10 * 60_000;

/**
 * Removes a directory with all that is in it, as the service's own user. Returns null, or the complaint when something
 * is left.
 *
 * By rm(1), which holds on to each directory that it is in. Node's own `rm` goes by paths: what a build that broke out
 * swaps for a link meanwhile would lead the service, which may be root, to any other place.
 * @throws the signal's reason after an abort; what is left can be removed later.
 */
export async function removeTree(directory: string, signal?: AbortSignal): Promise<string | null> {
  let complaint = `"${directory}" cannot be removed`;
  const { exitCode } = await runProcess(['rm', '-rf', '--', directory], {
    env: { PATH: toolPath, LC_ALL: 'C' },
    signal: AbortSignal.any([AbortSignal.timeout(mostMs), ...(signal === undefined ? [] : [signal])]),
    onLine: ({ text }) => void (complaint = text),
  });
  return exitCode === 0 ? null : complaint;
}
