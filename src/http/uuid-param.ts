import { Param, type PipeTransform } from '@nestjs/common';
import { ApiError } from './api-error';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && uuid.test(value);
}

class UuidPipe implements PipeTransform<unknown, string> {
  public constructor(private readonly name: string) {}

  public transform(value: unknown): string {
    if (!isUuid(value)) throw ApiError.badFields({ [this.name]: 'must be a UUID' });
    return value.toLowerCase();
  }
}

/** A UUID in the path; anything else is refused with 400. */
export const UuidParam = (name: string): ParameterDecorator => Param(name, new UuidPipe(name));
