import type { LogSink } from './log-sink';
import { StreamPulse } from './stream-pulse';

const options = { pingMs: 20_000, stallMs: 300_000 };
const mebibyte = 1_024 * 1_024;

class Sink implements LogSink {
  public isOpen = true;
  public buffered = 0;
  public pending = 0;
  public readonly pings: string[] = [];
  public readonly ends: (number | 'terminated')[] = [];

  public write(): void {
    return;
  }

  public flushed(): Promise<void> {
    return Promise.resolve();
  }

  public ping(payload: string): void {
    this.pings.push(payload);
  }

  public close(code: number): void {
    this.ends.push(code);
  }

  public terminate(): void {
    this.ends.push('terminated');
  }
}

let sink: Sink;
let pulse: StreamPulse;

beforeEach(() => {
  jest.useFakeTimers();
  sink = new Sink();
  pulse = new StreamPulse(sink, options, Date.now() + 3_600_000);
});

afterEach(() => {
  pulse.stop();
  jest.useRealTimers();
});

/** Lets time pass in steps of a second. */
function pass(seconds: number, each: (second: number) => void = () => undefined): void {
  for (let second = 0; second < seconds && sink.ends.length === 0; second += 1) {
    each(second);
    jest.advanceTimersByTime(1_000);
  }
}

describe('StreamPulse', () => {
  it('pings every 20 s, and lets a client live that answers', () => {
    pass(201, () => {
      const last = sink.pings.at(-1);
      if (last !== undefined) pulse.ponged(last);
    });
    expect(sink.pings).toHaveLength(10);
    expect(sink.ends).toEqual([]);
  });

  it('ends a client that has nothing left to read and misses its pong', () => {
    pass(60);
    expect(sink.ends).toEqual(['terminated']);
    expect(sink.pings).toHaveLength(1);
  });

  it('closes 1013 when no byte was taken for five minutes, and not before', () => {
    sink.buffered = mebibyte;
    pass(290);
    expect(sink.ends).toEqual([]);
    pass(40);
    expect(sink.ends).toEqual([1013]);
  });

  it.each([
    ['in the chunk that is under way', (second: number) => (sink.pending = mebibyte - second)],
    ['of what waits', (second: number) => (sink.buffered = mebibyte - second)],
  ])('lets a client live that takes a byte now and then, seen %s', (_, take) => {
    sink.buffered = mebibyte;
    pass(1_000, (second) => {
      if (second % 200 === 0) take(second);
    });
    expect(sink.ends).toEqual([]);
  });

  it('does not judge a client by its pong while the network holds a backlog for it, but by its progress', () => {
    pulse.wrote(2 * mebibyte);
    expect(sink.pings.length).toBeGreaterThan(0);
    pass(250);
    expect(sink.ends).toEqual([]);
    pulse.ponged(String(mebibyte));
    pass(250);
    expect(sink.ends).toEqual([]);
    pass(120);
    expect(sink.ends).toEqual([1013]);
  });

  it('asks after the rest of a replay, so that a client that has read all of it is not taken for a slow one', () => {
    pulse.wrote(100 * 1_024);
    pass(400, () => {
      const last = sink.pings.at(-1);
      if (last !== undefined) pulse.ponged(last);
    });
    expect(sink.ends).toEqual([]);
  });

  it('believes no pong of more than was written', () => {
    sink.buffered = 0;
    pulse.wrote(mebibyte);
    pulse.ponged('99999999999');
    pulse.ponged('-1');
    pulse.ponged('nonsense');
    pass(330);
    expect(sink.ends).toEqual([1013]);
  });

  it('closes 4401 when the token ends, also one that lives longer than a timer can', () => {
    const month = 30 * 86_400_000;
    pulse.stop();
    pulse = new StreamPulse(sink, { pingMs: 2_000_000_000, stallMs: 8_000_000_000 }, Date.now() + month);
    jest.advanceTimersByTime(month - 1_000);
    expect(sink.ends).toEqual([]);
    jest.advanceTimersByTime(1_000);
    expect(sink.ends).toEqual([4401]);
  });
});
