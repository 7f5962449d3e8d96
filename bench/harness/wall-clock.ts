/** Milliseconds since the epoch with their fraction, by the clock that `gettimeofday` of any process on this machine reads. */
export function wallClockMs(): number {
  return offset + performance.now();
}

/** `Date.now()` knows whole milliseconds only: the moment at which it changes tells the rest. */
const offset = ((): number => {
  const start = Date.now();
  let now = start;
  while (now === start) now = Date.now();
  return now - performance.now();
})();
