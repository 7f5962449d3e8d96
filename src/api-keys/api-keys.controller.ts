import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequireSignIn } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { PageQuery } from '../http/page';
import { UuidParam } from '../http/uuid-param';
import {
  ApiKeyListDto,
  CreateApiKeyDto,
  CreatedApiKeyDto,
  exampleApiKeyList,
  exampleCreatedApiKey,
} from './api-key.dto';
import { ApiKeysService } from './api-keys.service';

@ApiTags('API Keys')
@Controller('api-keys')
export class ApiKeysController {
  public constructor(private readonly keys: ApiKeysService) {}

  @Post()
  @RequireSignIn({
    operationId: 'createApiKey',
    summary: 'Make an API key for a machine',
    description:
      'Every user may, with at most their own permissions. A key can make no other keys, nor can a user of an outside ' +
      'issuer. What its owner loses later, the key loses too; with its owner or its tenant it is disabled.',
  })
  @ApiCreatedResponse({
    type: CreatedApiKeyDto,
    description: 'API key made; it is shown only now',
    example: exampleCreatedApiKey,
  })
  @ErrorResponses(
    400,
    [403, 'Not signed in with a password, or more permissions than one’s own', 'A key may do at most what you may'],
    [409, 'Too many API keys', 'You have 100 API keys; revoke one first'],
  )
  public create(@CurrentCaller() caller: Caller, @Body() request: CreateApiKeyDto): Promise<CreatedApiKeyDto> {
    return this.keys.create(caller, request);
  }

  @Get()
  @RequireSignIn({
    operationId: 'listApiKeys',
    summary: 'List API keys',
    description:
      "One's own; with `api-key:list` (an admin) those of the whole tenant. A key without that sees itself. Keys that " +
      'have ended stay in the list for 30 days or more.',
  })
  @ApiOkResponse({ type: ApiKeyListDto, description: 'API keys, newest first', example: exampleApiKeyList })
  @ErrorResponses(400)
  public list(@CurrentCaller() caller: Caller, @Query() page: PageQuery): Promise<ApiKeyListDto> {
    return this.keys.list(caller, page);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireSignIn({
    operationId: 'revokeApiKey',
    summary: 'Revoke an API key',
    description:
      "One of one's own; with `api-key:delete` (an admin) any of the tenant. A key without that can revoke itself. The " +
      'next request with it is refused; a log stream that it opened closes within 30 seconds.',
  })
  @ApiParam({ name: 'id', description: 'API key ID (UUID)', schema: { type: 'string', format: 'uuid' } })
  @ApiNoContentResponse({ description: 'Revoked' })
  @ErrorResponses(400, [404, 'No such key that the caller may revoke', 'API key not found'])
  public revoke(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<void> {
    return this.keys.revoke(caller, id);
  }
}
