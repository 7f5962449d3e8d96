import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { errorCodeOf } from './error-body';
import { ErrorDto } from './error.dto';

const usual: Readonly<Record<number, { readonly description: string; readonly example: string }>> = {
  400: { description: 'Bad request', example: 'Invalid request body' },
  401: { description: 'Unauthorized', example: 'Missing or invalid authentication token' },
  403: { description: 'Forbidden', example: 'You do not have permission to access this resource' },
  404: { description: 'Not found', example: 'Build not found' },
  409: { description: 'Conflict', example: 'Build already exists' },
  413: { description: 'The request body is too large', example: 'The request body is too large' },
  415: {
    description: 'The request body is not JSON',
    example: 'The request body must be sent as application/json',
  },
  429: { description: 'Too many requests; Retry-After says when to try again', example: 'Too many requests' },
  500: { description: 'Internal server error', example: 'Internal server error' },
  503: {
    description: 'The database does not answer at the moment; Retry-After says when to try again',
    example: 'The database does not answer at the moment; try again',
  },
  501: { description: 'Not implemented', example: 'Not implemented' },
};

/** Documents answers in the error envelope: a status, or a status with its own description and example message. */
export function ErrorResponses(
  ...answers: readonly (number | readonly [status: number, description: string, example?: string])[]
): MethodDecorator {
  return applyDecorators(
    ...answers.map((answer) => {
      const [status, description = describe(status), error = usual[status]?.example ?? description] =
        typeof answer === 'number' ? [answer] : answer;
      return ApiResponse({ status, description, type: ErrorDto, example: exampleOf(status, error) });
    }),
  );
}

/** An answer of the document with its media type. */
interface DocumentedError {
  readonly description: string;
  readonly content: Record<string, { readonly schema: { readonly $ref: string }; readonly example: object }>;
}

/** The same as a part of the document, for answers that many routes share. */
export function documentedError(status: number): DocumentedError {
  const description = describe(status);
  const example = exampleOf(status, usual[status]?.example ?? description);
  const schema = { $ref: '#/components/schemas/Error' };
  return { description, content: { 'application/json': { schema, example } } };
}

function describe(status: number): string {
  return usual[status]?.description ?? '';
}

function exampleOf(status: number, error: string): object {
  return { error, code: errorCodeOf(status), timestamp: '2024-01-15T10:30:00Z', trace_id: 'abc123def456' };
}
