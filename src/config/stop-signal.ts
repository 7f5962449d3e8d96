/**
 * The injection token of an AbortSignal that says that the process was told to stop while it was starting: what takes its
 * time at the start gives up then.
 */
export const STOP_SIGNAL = Symbol('StopSignal');
