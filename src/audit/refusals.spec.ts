import { nowhere } from '../http/request-origin';
import { type Actor, anonymous, type NewAuditEvent } from './audit-event';
import { Refusals } from './refusals';

const minute = 60_000;

const user = (userId: string): Actor => ({ ...anonymous, kind: 'user', tenantId: 'tenant', userId });

function refusal(id: string, changes: Partial<NewAuditEvent> = {}): NewAuditEvent {
  return {
    action: 'access.refused',
    actor: user('ada'),
    resource: { type: 'build', id },
    origin: { ...nowhere, address: '203.0.113.7', network: '203.0.113.7' },
    details: { operation: 'GET /builds/:id' },
    status: 404,
    ...changes,
  };
}

let refusals: Refusals;

beforeEach(() => {
  refusals = new Refusals();
});

const taken = (now: number, isLast = false): [id: string | null, count: number][] =>
  refusals.take(now, isLast).map(({ event, count }) => [event.resource?.id ?? null, count]);

describe('refusals', () => {
  it('are told at once, and their repetitions together at the end of the minute', () => {
    refusals.add(refusal('a'), 0);
    expect(taken(1)).toEqual([['a', 1]]);
    for (let number = 0; number < 100; number += 1) refusals.add(refusal('a'), 2);
    expect(taken(minute - 1)).toEqual([]);
    expect(taken(minute)).toEqual([['a', 100]]);
    expect(taken(2 * minute)).toEqual([]);
    refusals.add(refusal('a'), 2 * minute);
    expect(taken(2 * minute)).toEqual([['a', 1]]);
  });

  it('are alike only with the same actor, action, resource, status and address', () => {
    const base = refusal('a');
    const different = [
      base,
      refusal('b'),
      refusal('a', { actor: user('bob') }),
      refusal('a', { action: 'auth.login_failed' }),
      refusal('a', { status: 403 }),
      refusal('a', { origin: { ...base.origin, address: '203.0.113.8' } }),
    ];
    for (const event of [...different, ...different]) refusals.add(event, 0);
    expect(taken(0).map(([, count]) => count)).toEqual(different.map(() => 2));
    for (const traceId of ['x', 'y']) refusals.add(refusal('c', { origin: { ...base.origin, traceId } }), 0);
    expect(taken(0)).toEqual([['c', 2]]);
  });

  it('of one actor are at most 21 events in a minute and as many counts, and others have their own', () => {
    for (let number = 0; number < 500; number += 1) refusals.add(refusal(String(number)), 0);
    refusals.add(refusal('other', { actor: user('bob') }), 0);
    const due = refusals.take(0);
    expect(due).toHaveLength(22);
    expect(due.reduce((sum, { count }) => sum + count, 0)).toBe(501);
    const [many] = due.filter(({ event }) => event.details.many === true);
    expect(many).toMatchObject({ count: 480, event: { actor: user('ada'), resource: null, origin: nowhere } });
    expect(due.at(-1)?.event.resource?.id).toBe('other');
  });

  it('of however many actors are bounded, and none is lost', () => {
    const all = 10_000;
    for (let number = 0; number < all; number += 1) refusals.add(refusal('a', { actor: user(String(number)) }), 0);
    const due = refusals.take(0);
    expect(due.length).toBeLessThanOrEqual(401);
    expect(due.reduce((sum, { count }) => sum + count, 0)).toBe(all);
    const rest = { actor: { ...anonymous, tenantId: 'tenant' }, action: 'access.refused', status: 404 };
    expect(due.at(-1)?.event).toMatchObject({ ...rest, details: { many: true } });
  });

  describe('cannot be hidden by strangers', () => {
    const from = (network: string): NewAuditEvent['origin'] => ({ ...nowhere, address: network, network });
    const stranger = (network: string, id: string): NewAuditEvent =>
      refusal(id, { actor: anonymous, origin: from(network), status: 401 });

    it('who fail elsewhere before they guess passwords of a tenant', () => {
      for (let number = 0; number < 30; number += 1) refusals.add(stranger('203.0.113.9', String(number)), 0);
      const guess = (id: string): NewAuditEvent => ({
        ...stranger('203.0.113.9', id),
        action: 'auth.login_failed',
        actor: { ...anonymous, tenantId: 'victim' },
        resource: { type: 'user', id },
      });
      for (const account of ['a', 'b', 'c', 'd', 'e']) refusals.add(guess(account), 0);
      const told = refusals.take(0).filter(({ event }) => event.actor.tenantId === 'victim');
      expect(told.map(({ event }) => [event.action, event.resource?.id, event.origin.address])).toEqual(
        ['a', 'b', 'c', 'd', 'e'].map((id) => ['auth.login_failed', id, '203.0.113.9']),
      );
    });

    it('who come from thousands of networks', () => {
      for (let number = 0; number < 6_000; number += 1) refusals.add(stranger(`net ${number}`, 'x'), 0);
      refusals.add(refusal('mine', { actor: user('bob') }), 0);
      const due = refusals.take(0);
      expect(due.length).toBeLessThanOrEqual(2_002);
      expect(due.at(-1)?.event).toMatchObject({ resource: { id: 'mine' }, actor: user('bob') });
    });

    it('and guesses from everywhere at the accounts of a tenant are told to it as such', () => {
      for (let number = 0; number < 1_000; number += 1) {
        const actor = { ...anonymous, tenantId: 'victim' };
        refusals.add({ ...stranger(`net ${number}`, 'x'), action: 'auth.login_failed', actor }, 0);
      }
      const due = refusals.take(0);
      expect(due.length).toBeLessThanOrEqual(401);
      expect(
        new Set(due.map(({ event }) => `${event.actor.tenantId} ${event.action} ${String(event.status)}`)),
      ).toEqual(new Set(['victim auth.login_failed 401']));
      expect(due.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
    });
  });

  it('keep to their bound while nothing can be stored', () => {
    for (let round = 0; round < 5; round += 1) {
      for (let number = 0; number < 500; number += 1) {
        refusals.add(refusal('a', { actor: user(`${round} ${number}`) }), round * minute);
      }
      refusals.giveBack(refusals.take(round * minute + minute), round * minute + minute);
    }
    const due = refusals.take(6 * minute, true);
    expect(due.length).toBeLessThanOrEqual(401);
    expect(due.reduce((sum, { count }) => sum + count, 0)).toBe(2_500);
  });

  it('that could not be stored come again with all that came meanwhile, also after their minute', () => {
    refusals.add(refusal('a'), 0);
    const first = refusals.take(0);
    refusals.add(refusal('a'), 1);
    refusals.giveBack(first, 2);
    expect(taken(3)).toEqual([['a', 2]]);
    refusals.add(refusal('a'), 4);
    const [last] = refusals.take(minute);
    if (last === undefined) throw new Error('Nothing was due');
    refusals.giveBack([last], minute + 5);
    expect(refusals.take(minute + 10)).toEqual([{ ...last, ageMs: last.ageMs + 5 }]);
  });

  it('are all told at the end', () => {
    refusals.add(refusal('a'), 0);
    refusals.take(0);
    refusals.add(refusal('a'), 1);
    refusals.add(refusal('b'), 1);
    expect(taken(2, true)).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    expect(taken(minute, true)).toEqual([]);
  });
});
