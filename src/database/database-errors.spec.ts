import { isDatabaseUnavailable, isDeadlock, isUniqueViolation } from './database-errors';

const withFields = (fields: object): Error => Object.assign(new Error('said the driver'), fields);

describe('isDatabaseUnavailable', () => {
  it.each(['57P01', '57P03', '53300', '53100', '57014', '55P03', '08006', '40001', '40P01'])(
    'knows the state %s',
    (code) => {
      expect(isDatabaseUnavailable(withFields({ code }))).toBe(true);
    },
  );

  it.each(['23505', '22P02', '42P01', '08', ''])('is not misled by the state "%s"', (code) => {
    expect(isDatabaseUnavailable(withFields({ code }))).toBe(false);
  });

  it('takes a network or socket error for a connection only, never a missing file', () => {
    expect(isDatabaseUnavailable(withFields({ code: 'ENOENT', syscall: 'connect' }))).toBe(true);
    expect(isDatabaseUnavailable(withFields({ code: 'ENOENT', syscall: 'open' }))).toBe(false);
  });

  it('finds the reason inside of what wraps it', () => {
    const reason = withFields({ code: '57P01' });
    expect(isDatabaseUnavailable(new Error('outer', { cause: new Error('inner', { cause: reason }) }))).toBe(true);
    expect(isDatabaseUnavailable(withFields({ driverError: reason }))).toBe(true);
    expect(isDatabaseUnavailable(new AggregateError([new Error('other'), reason]))).toBe(true);
  });

  it('survives what is no error, and errors that cause themselves', () => {
    expect(isDatabaseUnavailable(undefined)).toBe(false);
    expect(isDatabaseUnavailable('57P01')).toBe(false);
    const loop = new Error('loop');
    loop.cause = loop;
    expect(isDatabaseUnavailable(loop)).toBe(false);
  });
});

describe('isUniqueViolation', () => {
  it('compares the name of the constraint when one is given', () => {
    const error = withFields({ code: '23505', constraint: 'users_email_key' });
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'users_email_key')).toBe(true);
    expect(isUniqueViolation(error, 'tenants_name_key')).toBe(false);
    expect(isUniqueViolation(withFields({ code: '23503', constraint: 'users_email_key' }))).toBe(false);
  });
});

describe('isDeadlock', () => {
  it('knows what the database gave up for the sake of others, and nothing else', () => {
    expect(isDeadlock(withFields({ driverError: withFields({ code: '40P01' }) }))).toBe(true);
    expect(isDeadlock(withFields({ code: '40001' }))).toBe(true);
    expect(isDeadlock(withFields({ code: '57014' }))).toBe(false);
  });
});
