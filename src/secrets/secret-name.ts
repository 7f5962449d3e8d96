import { Param, type PipeTransform } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { ApiError } from '../http/api-error';
import { secretNameProblem } from './secret';

class SecretNamePipe implements PipeTransform<string, string> {
  public transform(value: string): string {
    const problem = secretNameProblem(value);
    if (problem !== null) throw ApiError.badFields({ name: problem });
    return value;
  }
}

/** The name of a secret in the path; anything else is refused with 400. */
export const SecretNameParam = (): ParameterDecorator => Param('name', new SecretNamePipe());

/** Documents it. */
export const ApiSecretName = (): MethodDecorator =>
  ApiParam({
    name: 'name',
    description: 'A letter or underscore, then letters, digits and marks out of `_ . -`; a Dockerfile knows it by this',
    schema: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$' },
    example: 'NPM_TOKEN',
  });
