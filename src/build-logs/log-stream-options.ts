/** The clocks and bounds of live streams. */
export interface LogStreamOptions {
  /** Between two pings to a client; also how long it may take to answer one. */
  readonly pingMs: number;
  /** How long a client may take nothing of what waits for it. */
  readonly stallMs: number;
  /** The most that is buffered for one client. */
  readonly bufferBytes: number;
  /** Chunks are read from the store until they have this many bytes. */
  readonly pageBytes: number;
  /** Between two looks into the store that make a lost wake-up harmless. */
  readonly pollMs: number;
  /** Between two looks at a client's credential: how long its stream may outlive it. */
  readonly recheckMs: number;
  /** Before the store is asked again when it did not answer. */
  readonly retryMs: number;
}

export const LOG_STREAM_OPTIONS = Symbol('LogStreamOptions');

export const logStreamOptions: LogStreamOptions = {
  pingMs: 20_000,
  stallMs: 300_000,
  bufferBytes: 1_024 * 1_024,
  pageBytes: 128 * 1_024,
  pollMs: 5_000,
  recheckMs: 30_000,
  retryMs: 1_000,
};
