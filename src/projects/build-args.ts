import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { ValidateBy, ValidateIf } from 'class-validator';

const mostArgs = 64;
const mostBytes = 4096;
const longestName = 255;
const name = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What is wrong with a value as build arguments, or null. */
export function buildArgsProblem(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of strings';
  const args = Object.entries(value);
  if (args.length > mostArgs) return `must have at most ${mostArgs} entries`;
  for (const [key, text] of args) {
    if (key.length > longestName) return `must have no name of more than ${longestName} characters`;
    if (!name.test(key)) {
      return `has a name that is not a letter or underscore followed by letters, digits and underscores: ${JSON.stringify(key.slice(0, 64))}`;
    }
    if (typeof text !== 'string') return `must have a string for ${key}`;
    if (Buffer.byteLength(text) > mostBytes) return `must have at most ${mostBytes} bytes for ${key}`;
  }
  return null;
}

/** A DTO property that holds build arguments. */
export function BuildArgs(options: { readonly description: string; readonly nullable: boolean }): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({
      description: options.description,
      type: 'object',
      ...(options.nullable ? { nullable: true } : {}),
      additionalProperties: { type: 'string' },
      example: { GREETING: 'hello' },
    }),
    // As it came: class-transformer drops names that every object has, such as `toString`.
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => obj[key]),
    ValidateIf((_, value) => value !== undefined && !(options.nullable && value === null)),
    ValidateBy({
      name: 'buildArgs',
      validator: {
        validate: (value: unknown) => buildArgsProblem(value) === null,
        defaultMessage: (validated) => buildArgsProblem(validated?.value) ?? '',
      },
    }),
  );
}
