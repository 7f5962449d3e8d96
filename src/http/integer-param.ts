import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { ValidateBy } from 'class-validator';

interface Range {
  readonly min: number;
  readonly max?: number;
  /** Documented here; the class field's initialiser is what sets it. */
  readonly default: number;
  readonly description: string;
}

/** Digits only, as `Number` would also take `''`, `0x10` and `1e3`; NaN is what the validation refuses. */
function parse(value: unknown): unknown {
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
}

/** A whole number in the query string. */
export function IntegerParam({ min, max, default: initial, description }: Range): PropertyDecorator {
  const most = max ?? Number.MAX_SAFE_INTEGER;
  const wish =
    max === undefined ? `must be a whole number of at least ${min}` : `must be a whole number from ${min} to ${max}`;
  return applyDecorators(
    ApiPropertyOptional({ type: 'integer', minimum: min, maximum: max, default: initial, description }),
    Transform(({ value }) => parse(value)),
    ValidateBy({
      name: 'integerParam',
      validator: {
        validate: (value: unknown) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= most,
        defaultMessage: () => wish,
      },
    }),
  );
}
