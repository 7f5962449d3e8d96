import type { Answer } from './caller';

/** That a credential was refused, in the words that every refused one hears. */
export function expectRefusal(answer: Answer): void {
  expect(answer.status).toBe(401);
  expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer');
  // All are told the same: which part is wrong is nobody's business.
  expect(answer.error).toMatchObject({
    error: 'Missing or invalid authentication token',
    code: 'UNAUTHORIZED',
    details: null,
  });
}
