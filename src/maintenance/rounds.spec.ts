import { setTimeout as sleep } from 'node:timers/promises';
import { type Chore, Rounds } from './rounds';

let told: string[];
let done: string[];

beforeEach(() => {
  told = [];
  done = [];
});

const rounds = (...chores: Chore[]): Rounds => new Rounds(chores, { warn: (line: string) => told.push(line) });

/** A chore of so many parts. */
function chore(complaint: string, parts: number): Chore {
  return {
    complaint,
    part: () => {
      parts -= 1;
      done.push(complaint);
      return Promise.resolve(parts > 0);
    },
  };
}

/** A chore that fails with these errors, one after the other, and then works. */
function failing(complaint: string, ...errors: (Error | undefined)[]): Chore {
  return {
    complaint,
    part: () => {
      const error = errors.shift();
      return error === undefined ? Promise.resolve(false) : Promise.reject(error);
    },
  };
}

const refused = (): Error =>
  Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });

it('does the parts of all chores by turns, so that a long one holds no other up', async () => {
  await rounds(chore('long', 4), chore('short', 1), chore('middle', 2)).go();
  expect(done).toEqual(['long', 'short', 'middle', 'long', 'middle', 'long', 'long']);
});

it('goes on with the other chores when one fails, and tells once why until that changes or ends', async () => {
  const [full, odd] = [new Error('disk full'), new Error('odd')];
  const all = rounds(failing('Files stay', full, full, odd, undefined, odd), chore('other', 1));
  for (let round = 0; round < 5; round += 1) await all.go();
  expect(done).toHaveLength(5);
  expect(told).toEqual(['Files stay: disk full', 'Files stay: odd', 'Files stay: odd']);
});

it('says in one line that the database is away, once for all chores and each time that it goes', async () => {
  const two = [refused(), refused()];
  const all = rounds(failing('One', ...two, undefined, refused()), failing('Two', ...two));
  for (let round = 0; round < 4; round += 1) await all.go();
  expect(told).toEqual(Array(2).fill('Upkeep waits for the database. One: connect ECONNREFUSED'));
});

it('ends after the part that is under way when it is stopped, and says nothing of what that interrupted', async () => {
  let interrupt: (error: Error) => void = () => undefined;
  const long: Chore = { complaint: 'long', part: () => new Promise((_, reject) => (interrupt = reject)) };
  const all = rounds(long, chore('next', 1));
  all.start(1);
  const stopped = all.stop();
  interrupt(new Error('stopped'));
  await stopped;
  await sleep(10);
  expect([done, told]).toEqual([[], []]);
});

it('is left after 5 s by a shutdown when a part does not come back, as on a file system that does not answer', async () => {
  const hungParts: string[] = [];
  const hung: Chore = {
    complaint: 'hung',
    part: () => {
      hungParts.push('hung');
      return new Promise(() => undefined);
    },
  };
  const all = rounds(hung);
  void all.go();
  while (hungParts.length === 0) await sleep(1);
  const askedAt = performance.now();
  await all.stop();
  expect(performance.now() - askedAt).toBeGreaterThan(4_000);
}, 20_000);
