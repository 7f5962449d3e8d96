import { hashPassword, verifyPassword } from './password';

describe('verifyPassword', () => {
  it('knows the password that was hashed, in any Unicode form, and no other', async () => {
    const hash = await hashPassword('crème brûlée 1', 'home');
    expect(await verifyPassword('crème brûlée 1'.normalize('NFD'), hash, 'home')).toBe(true);
    expect(await verifyPassword('creme brulee 1', hash, 'home')).toBe(false);
  });

  it('is false for a user who does not exist', async () => {
    expect(await verifyPassword('whatever it is', null, 'home')).toBe(false);
  });

  it('refuses a flood with 503, answers those of it that wait, and everybody else soon', async () => {
    let done = 0;
    const flood = Array.from({ length: 40 }, async () => {
      await verifyPassword('a guess', null, 'loud');
      done += 1;
    });
    const outcomes = Promise.allSettled(flood);
    expect(await verifyPassword('a guess', null, 'quiet')).toBe(false);
    expect(done).toBeLessThan(5);
    const settled = await outcomes;
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(32);
    expect(settled.at(-1)).toMatchObject({ status: 'rejected', reason: { status: 503 } });
    expect(await verifyPassword('a guess', null, 'loud')).toBe(false);
  });
});
