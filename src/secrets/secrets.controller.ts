import { Body, Controller, Delete, Get, HttpCode, Put } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { UuidParam } from '../http/uuid-param';
import { ApiSecretName, SecretNameParam } from './secret-name';
import { exampleSecretList, PutSecretDto, SecretListDto } from './secret.dto';
import { SecretsService } from './secrets.service';

const idParam = { name: 'id', description: 'Project ID (UUID)', schema: { type: 'string', format: 'uuid' } } as const;
const absent = [404, 'No such project in this tenant', 'Project not found'] as const;

@ApiTags('Secrets')
@Controller('projects/:id/secrets')
export class SecretsController {
  public constructor(private readonly secrets: SecretsService) {}

  @Get()
  @RequirePermission('secret:list', {
    operationId: 'listSecrets',
    summary: 'List the secrets of a project, without their values',
  })
  @ApiParam(idParam)
  @ApiOkResponse({ type: SecretListDto, description: 'Secrets', example: exampleSecretList })
  @ErrorResponses(400, absent)
  public list(@CurrentCaller() caller: Caller, @UuidParam('id') projectId: string): Promise<SecretListDto> {
    return this.secrets.list(caller, projectId);
  }

  @Put(':name')
  @HttpCode(204)
  @RequirePermission('secret:update', {
    operationId: 'putSecret',
    summary: 'Store a secret of a project',
    description:
      'A new one, or in place of the one of this name. Builds use the values of their start. Whoever may change what is ' +
      'built can read secrets of the kind `build`: they are for the steps of its Dockerfile.',
  })
  @ApiParam(idParam)
  @ApiSecretName()
  @ApiNoContentResponse({ description: 'Stored' })
  @ErrorResponses(
    400,
    absent,
    [409, 'Too many secrets, or another for the same server', 'The project has 100 secrets; delete one first'],
    [501, 'No key for secrets', 'This service keeps no secrets: its operator has not set SECRETS_KEY'],
  )
  public put(
    @CurrentCaller() caller: Caller,
    @UuidParam('id') projectId: string,
    @SecretNameParam() name: string,
    @Body() request: PutSecretDto,
  ): Promise<void> {
    return this.secrets.put(caller, projectId, name, request);
  }

  @Delete(':name')
  @HttpCode(204)
  @RequirePermission('secret:delete', { operationId: 'deleteSecret', summary: 'Delete a secret of a project' })
  @ApiParam(idParam)
  @ApiSecretName()
  @ApiNoContentResponse({ description: 'Deleted' })
  @ErrorResponses(400, [404, 'No such project in this tenant, or no such secret of it', 'Secret not found'])
  public delete(
    @CurrentCaller() caller: Caller,
    @UuidParam('id') projectId: string,
    @SecretNameParam() name: string,
  ): Promise<void> {
    return this.secrets.delete(caller, projectId, name);
  }
}
