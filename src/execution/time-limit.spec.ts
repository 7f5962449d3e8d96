import { getEventListeners } from 'node:events';
import { BuildFailure } from './image-builder';
import { withinLimit } from './time-limit';

const limit = { part: 'checkout', seconds: 10, setBy: 'CHECKOUT_TIMEOUT_SECONDS' };
const message = 'The checkout took longer than its limit of 10 seconds (CHECKOUT_TIMEOUT_SECONDS)';
let outer: AbortController;

beforeEach(() => {
  jest.useFakeTimers();
  outer = new AbortController();
});

afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

/** Work that goes on until it is aborted, and takes its time to end even then. */
function untilAborted(signal: AbortSignal, error: Error, endsAfterMs = 0): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      setTimeout(() => {
        reject(error);
      }, endsAfterMs);
    });
  });
}

it('returns what the work returns, and forgets the limit', async () => {
  let given: AbortSignal | undefined;
  const work = (signal: AbortSignal): Promise<string> => {
    given = signal;
    return Promise.resolve('done');
  };
  await expect(withinLimit(limit, outer.signal, work)).resolves.toBe('done');
  expect(jest.getTimerCount()).toBe(0);
  await jest.advanceTimersByTimeAsync(60_000);
  expect(given?.aborted).toBe(false);
  expect(getEventListeners(outer.signal, 'abort')).toEqual([]);
});

it('passes on how the work failed by itself', async () => {
  const work = (): Promise<never> => Promise.reject(new Error('no such branch'));
  await expect(withinLimit(limit, outer.signal, work)).rejects.toThrow('no such branch');
});

it('aborts the work at the limit, waits for its end, and fails with the limit named', async () => {
  const ended = jest.fn();
  const limited = withinLimit(limit, outer.signal, (signal) => untilAborted(signal, new Error('aborted'), 5_000));
  limited.catch(ended);
  await jest.advanceTimersByTimeAsync(14_900);
  expect(ended).not.toHaveBeenCalled();
  await jest.advanceTimersByTimeAsync(200);
  expect(ended).toHaveBeenCalled();
  await expect(limited).rejects.toThrow(new BuildFailure(message));
  await expect(limited).rejects.toBeInstanceOf(BuildFailure);
});

it('lets an abort from outside win that comes first', async () => {
  const limited = withinLimit(limit, outer.signal, (signal) => untilAborted(signal, new Error('aborted'), 20_000));
  limited.catch(() => undefined);
  await jest.advanceTimersByTimeAsync(9_000);
  outer.abort(new Error('cancelled'));
  await jest.advanceTimersByTimeAsync(20_000);
  await expect(limited).rejects.toThrow('cancelled');
});

it('tells the limit of the part, of one within the other', async () => {
  const inner = { ...limit, seconds: 5 };
  const limited = withinLimit(limit, outer.signal, (signal) =>
    withinLimit(inner, signal, (both) => untilAborted(both, new Error('aborted'), 1_000)),
  );
  limited.catch(() => undefined);
  await jest.advanceTimersByTimeAsync(7_000);
  await expect(limited).rejects.toThrow('limit of 5 seconds');
});
