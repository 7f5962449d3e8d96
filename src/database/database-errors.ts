/** The SQLSTATEs of a server that does not let us in: an operator has to mend that, there or in DATABASE_URL. */
const refusingStates = [
  '28000', // invalid authorization
  '28P01', // invalid password
  '3D000', // the database does not exist, as while it is being restored
];

/** The SQLSTATEs of a server that cannot serve now: the same request may succeed a little later. */
const unavailableStates = new Set([
  ...refusingStates,
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // lock not available: lock_timeout
  '57014', // query cancelled: statement_timeout
  '25P03', // idle in transaction session timeout
  '25006', // read-only transaction: connected to a standby
  '58000', // system error
  '58030', // input/output error
]);

/** Whole classes: 08 connection exceptions, 53 insufficient resources (disk full, memory, connections), 57P shutdown. */
const unavailableClasses = /^(08...|53...|57P..)$/;

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

/** What `pg`, TypeORM and Node's sockets say without a code or system call, each of a connection that is gone. */
const unavailableMessages = new RegExp(
  [
    'Connection terminated',
    'timeout exceeded when trying to connect',
    'timeout expired',
    'Query read timeout',
    'Client was closed and is not queryable',
    'Client has encountered a connection error',
    'Cannot use a pool after calling end',
    'Driver not Connected',
    // TypeORM, when the connection was lost between two statements of a transaction.
    'Query runner already released',
    'This socket has been ended by the other party',
    'Client network socket disconnected',
  ]
    .map((start) => `^${start}`)
    .join('|'),
);

/**
 * Whether the error, or one that caused it, says that the database cannot be reached or cannot serve now: it is down,
 * restarting, full, out of connections, or took too long. Such a request is answered 503 and may be repeated.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  return some(error, (each) => {
    const code = textOf(each, 'code');
    if (unavailableStates.has(code) || unavailableClasses.test(code)) return true;
    // A network or file error counts only as a connection's.
    if (unavailableCodes.has(code))
      return ['connect', 'read', 'write', 'getaddrinfo'].includes(textOf(each, 'syscall'));
    return unavailableMessages.test(textOf(each, 'message'));
  });
}

/** Whether the server answers but does not let us in: waiting alone does not help. */
export function isConnectionRefusedByServer(error: unknown): boolean {
  return some(error, (each) => refusingStates.includes(textOf(each, 'code')));
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
