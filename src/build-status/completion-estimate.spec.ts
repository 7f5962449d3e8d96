import fc from 'fast-check';
import { remainingMs } from './completion-estimate';

describe('the estimate of completion', () => {
  it('is unknown without a history', () => {
    expect(remainingMs({ usualMs: null, elapsedMs: 5_000, stepsDone: 1, stepsTotal: 4 })).toBeNull();
  });

  it('is the usual duration for a build that has just begun', () => {
    expect(remainingMs({ usualMs: 60_000, elapsedMs: 0, stepsDone: 0, stepsTotal: 6 })).toBe(60_000);
  });

  it('is what is left of the usual duration for a build that goes as usual', () => {
    expect(remainingMs({ usualMs: 60_000, elapsedMs: 30_000, stepsDone: 3, stepsTotal: 6 })).toBe(30_000);
  });

  it('is later for a build that is slower than usual, and earlier for one that is faster', () => {
    const usual = { usualMs: 60_000, stepsDone: 3, stepsTotal: 6 };
    expect(remainingMs({ ...usual, elapsedMs: 90_000 })).toBeGreaterThan(30_000);
    expect(remainingMs({ ...usual, elapsedMs: 55_000 }) ?? 0).toBeLessThan(60_000);
    expect(remainingMs({ ...usual, elapsedMs: 10_000 })).toBeLessThan(50_000);
  });

  it('never lies in the past and stays finite, however far a build overruns', () => {
    fc.assert(
      fc.property(fc.nat(1e8), fc.nat(1e9), fc.nat(100), fc.nat(100), (usualMs, elapsedMs, stepsDone, stepsTotal) => {
        const remaining = remainingMs({ usualMs, elapsedMs, stepsDone, stepsTotal });
        return remaining !== null && remaining >= 0 && Number.isFinite(remaining);
      }),
    );
  });
});
