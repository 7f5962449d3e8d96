import { setImmediate } from 'node:timers/promises';
import { FairTurns } from './fair-turns';

describe('FairTurns', () => {
  it('lets the parties take turns, however many of one wait', async () => {
    const turns = new FairTurns({ running: 1, ofEach: 8, ofAll: 100 });
    const order: string[] = [];
    const work = (party: string): Promise<void> =>
      turns.take(party, async () => {
        order.push(party);
        await setImmediate();
      });
    await Promise.all(['loud', 'loud', 'loud', 'loud', 'quiet', 'calm', 'quiet'].map(work));
    expect(order).toEqual(['loud', 'loud', 'quiet', 'calm', 'loud', 'quiet', 'loud']);
  });

  it('runs as many at once as it may, and never more', async () => {
    const turns = new FairTurns({ running: 2, ofEach: 8, ofAll: 100 });
    let running = 0;
    const seen: number[] = [];
    const work = async (): Promise<void> => {
      running += 1;
      seen.push(running);
      await setImmediate();
      running -= 1;
    };
    await Promise.all(['a', 'a', 'b', 'c', 'a'].map((party) => turns.take(party, work)));
    expect(seen).toEqual([1, 2, 2, 2, 2]);
  });

  it('has places for each party and for all, and has them again afterwards', async () => {
    const turns = new FairTurns({ running: 1, ofEach: 2, ofAll: 3 });
    const idle = (): Promise<void> => setImmediate();
    const under = [turns.take('loud', idle), turns.take('loud', idle)];
    expect(turns.hasPlaceFor('loud')).toBe(false);
    expect(turns.hasPlaceFor('quiet')).toBe(true);
    under.push(turns.take('quiet', idle));
    expect(turns.hasPlaceFor('calm')).toBe(false);
    await Promise.all(under);
    expect(turns.hasPlaceFor('loud')).toBe(true);
    expect(turns.hasPlaceFor('calm')).toBe(true);
  });

  it('passes the turn on when the work fails', async () => {
    const turns = new FairTurns({ running: 1, ofEach: 2, ofAll: 3 });
    const failing = turns.take('a', () => Promise.reject(new Error('no')));
    const next = turns.take('b', () => Promise.resolve('yes'));
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
