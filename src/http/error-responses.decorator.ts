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
  429: { description: 'Too many requests; Retry-After says when to try again', example: 'Too many requests' },
  500: { description: 'Internal server error', example: 'Internal server error' },
  501: { description: 'Not implemented', example: 'Not implemented' },
};

/** Documents answers in the error envelope: a status, or a status with its own description and example message. */
export function ErrorResponses(
  ...answers: readonly (number | readonly [status: number, description: string, example?: string])[]
): MethodDecorator {
  return applyDecorators(
    ...answers.map((answer) => {
      const [status, ownDescription, ownExample] = typeof answer === 'number' ? [answer] : answer;
      const description = ownDescription ?? usual[status]?.description ?? '';
      const error = ownExample ?? usual[status]?.example ?? description;
      return ApiResponse({
        status,
        description,
        type: ErrorDto,
        example: { error, code: errorCodeOf(status), timestamp: '2024-01-15T10:30:00Z', trace_id: 'abc123def456' },
      });
    }),
  );
}
