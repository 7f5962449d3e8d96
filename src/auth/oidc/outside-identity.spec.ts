import { outsideIdentity } from './outside-identity';

const issuer = {
  url: 'https://issuer.example.com/',
  audience: 'image-factory',
  clients: [],
  tenantClaim: 'tenant_id',
  permissionsClaim: 'permissions',
};
const exp = Math.floor(Date.now() / 1000) + 60;
const identify = (claims: object) =>
  outsideIdentity(
    { alg: 'RS256' },
    { sub: 'ada', tenant_id: '880e8400-e29b-41d4-a716-446655440003', exp, ...claims },
    issuer,
  );

it('makes of the issuer and the name there the UUIDv5 that other programs make as well', () => {
  // python3: uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, 'https://issuer.example.com/'), 'ada')
  expect(identify({}).userId).toBe('d6ed768c-9a57-5132-ac48-9722f12bbbb7');
  expect(identify({ sub: 'Zoë/1' }).userId).toBe('965789ef-025b-5376-ac3e-322058277a00');
});

it('ends with the token, and at the end of time at the latest', () => {
  expect(identify({}).expiresAt).toBe(exp * 1000);
  expect(new Date(identify({ exp: 1e300 }).expiresAt).toISOString()).toBe('+275760-09-13T00:00:00.000Z');
});
