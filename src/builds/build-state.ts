/** Every status of a build, in the order of its life. */
export const buildStatuses = ['queued', 'in_progress', 'success', 'failed', 'cancelled'] as const;

export type BuildStatus = (typeof buildStatuses)[number];

/** What can happen to a build, and from which status to which it leads. Nothing else changes a status. */
export const transitions = {
  /** A client starts it; a worker claims it later, which changes no status. */
  start: { from: 'queued', to: 'in_progress' },
  cancel: { from: 'in_progress', to: 'cancelled' },
  succeed: { from: 'in_progress', to: 'success' },
  /** The build's own failure, a limit, or a lost worker. */
  fail: { from: 'in_progress', to: 'failed' },
} as const satisfies Readonly<Record<string, { readonly from: BuildStatus; readonly to: BuildStatus }>>;

export type Transition = keyof typeof transitions;

/** Only what failed can be retried, and the retry is a build of its own. */
export const retryable: BuildStatus = 'failed';
