import { Logger } from '@nestjs/common';
import type { BuildQueueRepository } from './build-queue.repository';
import { BuildStopped, Lease } from './lease';

type Renewal = Awaited<ReturnType<BuildQueueRepository['renew']>>;

const claim = { id: 'build', token: 'token' };

/** Answers renewals one by one, when the test says so. */
class SlowQueue {
  public readonly asked: ((answer: Renewal | Error) => void)[] = [];

  public renew(): Promise<Renewal> {
    return new Promise((resolve, reject) => {
      this.asked.push((answer) => {
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
    });
  }
}

describe('a lease', () => {
  let queue: SlowQueue;
  let stopped: BuildStopped[];
  let lease: Lease;

  beforeAll(() => {
    Logger.overrideLogger(false);
  });

  beforeEach(() => {
    jest.useFakeTimers();
    queue = new SlowQueue();
    stopped = [];
    lease = new Lease(queue, claim, 30, (reason) => stopped.push(reason));
  });

  afterEach(() => {
    lease.release();
    jest.useRealTimers();
  });

  it('is asked for again when something happened while a renewal was under way, which may not have seen it', async () => {
    const first = lease.renew();
    const second = lease.renew();
    queue.asked[0]?.({ goesOn: true });
    await jest.advanceTimersByTimeAsync(0);
    expect(queue.asked).toHaveLength(2);
    queue.asked[1]?.({ goesOn: false });
    await Promise.all([first, second]);
    expect(stopped.map(({ why }) => why)).toEqual(['withdrawn']);
  });

  it('is renewed each third of its length, and once it is withdrawn as well, so that the log can be ended', async () => {
    for (const goesOn of [true, false, false]) {
      await jest.advanceTimersByTimeAsync(10_000);
      queue.asked.at(-1)?.({ goesOn });
      await jest.advanceTimersByTimeAsync(0);
    }
    expect(queue.asked).toHaveLength(3);
  });

  it('ends the build when it is lost, and is asked for no more', async () => {
    await jest.advanceTimersByTimeAsync(10_000);
    queue.asked[0]?.(null);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(stopped).toMatchObject([{ why: 'lost', killAfterMs: 0 }]);
    expect(queue.asked).toHaveLength(1);
  });

  it('is asked for again soon when the database did not answer, and goes on when it does', async () => {
    await jest.advanceTimersByTimeAsync(10_000);
    queue.asked[0]?.(new Error('Connection terminated'));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(queue.asked).toHaveLength(2);
    queue.asked[1]?.({ goesOn: true });
    await jest.advanceTimersByTimeAsync(17_000);
    expect(stopped).toEqual([]);
  });

  it('ends the build in time to be dead before the lease is over when every renewal fails', async () => {
    for (let elapsedMs = 0; elapsedMs < 18_000; elapsedMs += 1_000) {
      expect(stopped).toEqual([]);
      await jest.advanceTimersByTimeAsync(1_000);
      queue.asked.at(-1)?.(new Error('Connection terminated'));
    }
    await jest.advanceTimersByTimeAsync(0);
    expect(stopped.map(({ why }) => why)).toEqual(['lost']);
    expect(18_000 + (stopped[0]?.killAfterMs ?? Infinity)).toBeLessThan(30_000);
  });

  it('does so too when the database answers nothing at all', async () => {
    await jest.advanceTimersByTimeAsync(18_000);
    expect(stopped.map(({ why }) => why)).toEqual(['lost']);
    queue.asked[0]?.({ goesOn: true });
    await jest.advanceTimersByTimeAsync(60_000);
    expect(stopped).toHaveLength(1);
  });
});
