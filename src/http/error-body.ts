export const errorCodes = [
  'INVALID_REQUEST',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFLICT',
  'INTERNAL_SERVER_ERROR',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** The one shape of every answer that is not a success. */
export interface ErrorBody {
  readonly error: string;
  readonly code: ErrorCode;
  readonly timestamp: string;
  readonly trace_id: string;
  /** One entry for each offending field. */
  readonly details: Readonly<Record<string, string>> | null;
}

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
};

/** The contract's codes are a closed list: whatever else is wrong with a request is `INVALID_REQUEST`. */
export function errorCodeOf(status: number): ErrorCode {
  return codeOfStatus[status] ?? (status >= 500 ? 'INTERNAL_SERVER_ERROR' : 'INVALID_REQUEST');
}

export function errorBody(
  status: number,
  error: string,
  traceId: string,
  details: Readonly<Record<string, string>> | null = null,
): ErrorBody {
  return { error, code: errorCodeOf(status), timestamp: new Date().toISOString(), trace_id: traceId, details };
}
