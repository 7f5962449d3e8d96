import { applyDecorators } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, type ApiOperationOptions } from '@nestjs/swagger';
import { ErrorResponses } from '../http/error-responses.decorator';
import { Access } from './access.guard';
import type { Permission } from './permission';

interface OperationDocs {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
}

/** The name of the bearer scheme in the OpenAPI document. */
export const bearerScheme = 'BearerAuth';

function operation(docs: OperationDocs, access: string, more: ApiOperationOptions = {}): MethodDecorator {
  const description = [docs.description, access].filter((part) => part !== undefined && part !== '').join('\n\n');
  return ApiOperation({ operationId: docs.operationId, summary: docs.summary, description, ...more });
}

/** Declares, in one place, which permission a route needs and how it is documented. */
export function RequirePermission(permission: Permission, docs: OperationDocs): MethodDecorator {
  return applyDecorators(
    Access({ permission }),
    ApiBearerAuth(bearerScheme),
    operation(docs, `**Permissions Required:** \`${permission}\``),
    ErrorResponses(401, 403, 500, 503),
  );
}

/** For a route that needs a valid token and no permission. */
export function RequireSignIn(docs: OperationDocs): MethodDecorator {
  return applyDecorators(
    Access('authenticated'),
    ApiBearerAuth(bearerScheme),
    operation(docs, 'Needs a valid access token.'),
    ErrorResponses(401, 500, 503),
  );
}

/** For a route that anybody may call. */
export function Public(docs: OperationDocs): MethodDecorator {
  return applyDecorators(
    Access('public'),
    operation(docs, 'Needs no token.', { security: [] }),
    ErrorResponses(500, 503),
  );
}
