import { failureMessage } from './failure-message';
import { BuildFailure } from './image-builder';

describe('failureMessage', () => {
  it('passes on what the owner can mend, and keeps errors of ours to the operator', () => {
    expect(failureMessage(new BuildFailure('Step 2/3 failed with exit code 1'))).toBe(
      'Step 2/3 failed with exit code 1',
    );
    expect(failureMessage(new Error('undefined is not a function'))).toBeNull();
    expect(failureMessage(undefined)).toBeNull();
  });

  it('says whose disk is full', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, mkdir'), { code: 'ENOSPC' });
    const plain = /no space is left on the worker's disk/;
    expect(failureMessage(full)).toMatch(plain);
    expect(failureMessage(new Error('/mnt cannot be made: No space left on device'))).toMatch(plain);
    const failed = new BuildFailure('Cannot fetch from x: write error: No space left on device.');
    expect(failureMessage(failed)).toMatch(/^Cannot fetch from x: .*no space is left on the worker's disk/);
  });
});
