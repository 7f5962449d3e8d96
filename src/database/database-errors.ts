/** The SQLSTATEs of a server that cannot serve now: the same request may succeed a little later. */
const unavailableStates = new Set([
  '40001', // serialization failure
  '40P01', // deadlock
  '53000', // insufficient resources
  '53100', // disk full
  '53200', // out of memory
  '53300', // too many connections
  '55P03', // lock not available: lock_timeout
  '57014', // query cancelled: statement_timeout
  '57P01', // admin shutdown
  '57P02', // crash shutdown
  '57P03', // cannot connect now
  '57P04', // database dropped
  '57P05', // idle session timeout
  '25P03', // idle in transaction session timeout
  '25006', // read-only transaction: connected to a standby
  '58030', // input/output error
]);

const unavailableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT', // the Unix socket of a server that is not running
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** What `pg` says without a code. */
const unavailableMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client was closed and is not queryable|Client has encountered a connection error|Cannot use a pool after calling end|Driver not Connected)/;

/**
 * Whether the error, or one that caused it, says that the database cannot be reached or cannot serve now: it is down,
 * restarting, full, out of connections, or took too long. Such a request is answered 503 and may be repeated.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  return some(error, (each) => {
    const code = textOf(each, 'code');
    // Also class 08, connection exceptions. A network or file error counts only as a connection's.
    if (unavailableStates.has(code) || /^08...$/.test(code)) return true;
    if (unavailableCodes.has(code))
      return ['connect', 'read', 'write', 'getaddrinfo'].includes(textOf(each, 'syscall'));
    return unavailableMessages.test(textOf(each, 'message'));
  });
}

/** Whether a unique constraint or index, the named one if a name is given, refused a row. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return some(
    error,
    (each) =>
      textOf(each, 'code') === '23505' && (constraint === undefined || textOf(each, 'constraint') === constraint),
  );
}

/** Whether the database gave this transaction up so that others could go on: deadlock, or failed serialization. */
export function isDeadlock(error: unknown): boolean {
  return some(error, (each) => ['40P01', '40001'].includes(textOf(each, 'code')));
}

/** Looks at the error and at those it was made from, by TypeORM (`driverError`) or by us (`cause`). */
function some(error: unknown, matches: (error: object) => boolean, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 5) return false;
  if (matches(error)) return true;
  const inner: unknown[] = [];
  if ('driverError' in error) inner.push(error.driverError);
  if ('cause' in error) inner.push(error.cause);
  // Each address of a name was tried.
  if ('errors' in error && Array.isArray(error.errors)) inner.push(...(error.errors as unknown[]));
  return inner.some((each) => some(each, matches, depth + 1));
}

function textOf(error: object, property: 'code' | 'syscall' | 'message' | 'constraint'): string {
  const value: unknown = Reflect.get(error, property);
  return typeof value === 'string' ? value : '';
}
