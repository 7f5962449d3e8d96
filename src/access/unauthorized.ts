import { ApiError } from '../http/api-error';

/** Says what every refused credential is told: no more than that it is refused. */
export function unauthorized(cause?: unknown): ApiError {
  return new ApiError(401, 'Missing or invalid authentication token', null, { cause });
}
