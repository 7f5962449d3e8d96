import { BuildFailure, type TimeLimit } from './image-builder';

/** What a build's owner is told when a limit ended the build. */
export function limitMessage({ part, seconds, setBy }: TimeLimit): string {
  return `The ${part} took longer than its limit of ${seconds} seconds (${setBy})`;
}

/**
 * Runs a part of a build that may take so long and no longer. The work gets a signal that the limit aborts as well as
 * the given one, and must end by it.
 * @throws BuildFailure that names the limit, once the work has ended; the signal's reason when that was aborted first.
 */
export async function withinLimit<T>(
  limit: TimeLimit,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const expiry = new AbortController();
  const both = AbortSignal.any([signal, expiry.signal]);
  const timer = setTimeout(() => {
    expiry.abort(new BuildFailure(limitMessage(limit)));
  }, limit.seconds * 1000);
  try {
    return await work(both);
  } catch (error) {
    // What the work says of its end is often only that it was aborted.
    both.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
