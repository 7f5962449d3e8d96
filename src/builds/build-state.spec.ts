import { buildStatuses, retryable, transitions } from './build-state';

const moves = Object.values(transitions);

describe('the states of a build', () => {
  it('are all reachable from queued', () => {
    const reached = new Set<string>(['queued']);
    for (let size = 0; size !== reached.size;) {
      size = reached.size;
      for (const { from, to } of moves) if (reached.has(from)) reached.add(to);
    }
    expect([...reached].sort()).toEqual([...buildStatuses].sort());
  });

  it('end in success, failed or cancelled, and nothing leads out of these', () => {
    const left = new Set<string>(moves.map(({ from }) => from));
    expect(buildStatuses.filter((status) => !left.has(status))).toEqual(['success', 'failed', 'cancelled']);
  });

  it('can be retried only at an end', () => {
    expect(moves.map(({ from }) => from)).not.toContain(retryable);
  });
});
