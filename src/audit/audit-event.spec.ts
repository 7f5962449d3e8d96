import type { Identity } from '../access/identity';
import { actorOf } from './audit-event';

const identity: Identity = {
  userId: '770e8400-e29b-41d4-a716-446655440002',
  tenantId: '880e8400-e29b-41d4-a716-446655440003',
  permissions: new Set(),
  expiresAt: 0,
  signIn: { by: 'password' },
};
const { userId, tenantId } = identity;

describe('the actor of an event', () => {
  it('is a user of ours, whose name the database knows', () => {
    expect(actorOf(identity)).toEqual({ kind: 'user', userId, tenantId, name: null, apiKeyId: null });
  });

  it('is an API key of a user', () => {
    const actor = actorOf({ ...identity, signIn: { by: 'api_key', keyId: 'key' } });
    expect(actor).toEqual({ kind: 'api_key', userId, tenantId, name: null, apiKeyId: 'key' });
  });

  it.each([
    ['ada@example.com', 'Ada', 'ada@example.com'],
    [null, 'Ada', 'Ada'],
    [null, null, 'subject'],
    [null, 'A\0d\u001b[31ma\ud800', 'A d [31ma\ufffd'],
  ])('is a user from outside, by the address %j, the name %j or the subject', (email, name, expected) => {
    const actor = actorOf({ ...identity, signIn: { by: 'oidc', subject: 'subject', email, name } });
    expect(actor).toEqual({ kind: 'outside', userId, tenantId, name: expected, apiKeyId: null });
  });
});
