import { hasCode } from '../config/error-code';
import { BuildFailure } from './image-builder';

const fullDisk = /no space left on device/i;
const advice = "no space is left on the worker's disk; its operator must make room";

/** What a build's owner is told of an error that ended the build; null: it is an error of ours. */
export function failureMessage(error: unknown): string | null {
  if (error instanceof BuildFailure)
    return fullDisk.test(error.message) ? `${error.message} (${advice})` : error.message;
  const isFull = hasCode(error, 'ENOSPC') || (error instanceof Error && fullDisk.test(error.message));
  return isFull ? `The build could not go on: ${advice}` : null;
}
