import { hashPassword, verifyPassword } from './password';

describe('verifyPassword', () => {
  it('knows the password that was hashed, in any Unicode form, and no other', async () => {
    const hash = await hashPassword('crème brûlée 1');
    expect(await verifyPassword('crème brûlée 1'.normalize('NFD'), hash)).toBe(true);
    expect(await verifyPassword('creme brulee 1', hash)).toBe(false);
  });

  it('is false for a user who does not exist', async () => {
    expect(await verifyPassword('whatever it is', null)).toBe(false);
  });

  it('refuses a flood with 503, and answers those that wait', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => verifyPassword('a guess', null)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(32);
    expect(outcomes.at(-1)).toMatchObject({ status: 'rejected', reason: { status: 503 } });
    expect(await verifyPassword('a guess', null)).toBe(false);
  });
});
