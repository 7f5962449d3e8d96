import { isConnectionRefusedByServer, isDatabaseUnavailable, isDeadlock, isUniqueViolation } from './database-errors';

const withFields = (fields: object): Error => Object.assign(new Error('said the driver'), fields);

describe('isDatabaseUnavailable', () => {
  it.each([
    ...['57P01', '57P02', '57P03', '57P05', '57014', '53100', '53300', '58030', '25P03', '25006'],
    ...['08001', '08006', '08P01', '55P03', '40001', '40P01', '3D000', '28P01'],
  ])('knows the state %s', (code) => {
    expect(isDatabaseUnavailable(withFields({ code }))).toBe(true);
  });

  it.each([
    'Connection terminated unexpectedly',
    'Query read timeout',
    'Query runner already released. Cannot run queries anymore.',
    'This socket has been ended by the other party',
  ])('knows what is said without a state: "%s"', (message) => {
    expect(isDatabaseUnavailable(new Error(message))).toBe(true);
    expect(isDatabaseUnavailable(new Error(`Not so: ${message}`))).toBe(false);
  });

  it.each(['23505', '22P02', '42P01', '57000', '58P01', '08', '53', ''])('is not misled by the state "%s"', (code) => {
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

describe('isConnectionRefusedByServer', () => {
  it('tells a server that does not let us in from one that cannot serve now', () => {
    expect(isConnectionRefusedByServer(withFields({ driverError: withFields({ code: '3D000' }) }))).toBe(true);
    expect(isConnectionRefusedByServer(withFields({ code: '28P01' }))).toBe(true);
    expect(isConnectionRefusedByServer(withFields({ code: '57P03' }))).toBe(false);
    expect(isConnectionRefusedByServer(withFields({ code: 'ECONNREFUSED', syscall: 'connect' }))).toBe(false);
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
