import { ApiError } from '../http/api-error';

/** What an absent, a deleted and another tenant's build have in common: nobody can tell them apart by the answer. */
export function buildNotFound(): ApiError {
  return new ApiError(404, 'Build not found');
}
