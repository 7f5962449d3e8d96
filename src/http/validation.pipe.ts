import { ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { ApiError } from './api-error';

function collect(errors: readonly ValidationError[], prefix: string, into: Record<string, string>): void {
  for (const error of errors) {
    const name = prefix === '' ? error.property : `${prefix}.${error.property}`;
    const problems = Object.values(error.constraints ?? {});
    // class-validator begins its own messages with the property's name; ours begin with what it must be.
    if (problems.length > 0) {
      into[name] = problems.map((text) => text.replace(`${error.property} `, '')).join('; ');
    }
    collect(error.children ?? [], name, into);
  }
}

/** Checks bodies and queries against their DTO. Fields that the DTO does not name are dropped, not refused. */
export function validationPipe(): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    forbidUnknownValues: true,
    stopAtFirstError: true,
    exceptionFactory: (errors) => {
      const details: Record<string, string> = {};
      collect(errors, '', details);
      return ApiError.badFields(details);
    },
  });
}
