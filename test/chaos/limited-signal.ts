/** A signal that is aborted by the first of others, or when its time is over. */
export interface LimitedSignal {
  readonly signal: AbortSignal;
  /** For when nobody waits for it any more. */
  release(): void;
}

/** `AbortSignal.any` with `AbortSignal.timeout` would do, if the oldest Node did not collect them as garbage too early. */
export function limitedSignal(ms: number, ...others: readonly AbortSignal[]): LimitedSignal {
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort();
  };
  const timer = setTimeout(abort, ms);
  for (const other of others) {
    if (other.aborted) abort();
    other.addEventListener('abort', abort);
  }
  return {
    signal: controller.signal,
    release: () => {
      clearTimeout(timer);
      for (const other of others) other.removeEventListener('abort', abort);
    },
  };
}
