import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { PageQuery } from '../http/page';
import { UuidParam } from '../http/uuid-param';
import {
  CreatedTenantDto,
  CreateTenantDto,
  exampleCreatedTenant,
  exampleTenant,
  exampleTenantList,
  TenantDto,
  TenantListDto,
  UpdateTenantDto,
} from './tenant.dto';
import { TenantsService } from './tenants.service';

@ApiTags('Tenants')
@Controller('tenants')
export class TenantsController {
  public constructor(private readonly tenants: TenantsService) {}

  @Post()
  @RequirePermission('tenant:create', {
    operationId: 'createTenant',
    summary: 'Create a tenant with its first admin',
  })
  @ApiCreatedResponse({ type: CreatedTenantDto, description: 'Tenant created', example: exampleCreatedTenant })
  @ErrorResponses(400, [409, 'The name or the e-mail address is taken', 'A tenant of this name exists already'])
  public create(@CurrentCaller() caller: Caller, @Body() request: CreateTenantDto): Promise<CreatedTenantDto> {
    return this.tenants.create(caller, request);
  }

  @Get()
  @RequirePermission('tenant:list', { operationId: 'listTenants', summary: 'List all tenants' })
  @ApiOkResponse({ type: TenantListDto, description: 'Tenants, oldest first', example: exampleTenantList })
  @ErrorResponses(400)
  public list(@Query() page: PageQuery): Promise<TenantListDto> {
    return this.tenants.list(page);
  }

  @Patch(':id')
  @RequirePermission('tenant:update', {
    operationId: 'updateTenant',
    summary: 'Disable or enable a tenant, grant it registry prefixes',
  })
  @ApiParam({ name: 'id', description: 'Tenant ID (UUID)', schema: { type: 'string', format: 'uuid' } })
  @ApiOkResponse({ type: TenantDto, description: 'Tenant as it is now', example: exampleTenant })
  @ErrorResponses(400, [404, 'No such tenant', 'Tenant not found'], [409, 'One cannot disable one’s own tenant'])
  public update(
    @CurrentCaller() caller: Caller,
    @UuidParam('id') id: string,
    @Body() request: UpdateTenantDto,
  ): Promise<TenantDto> {
    return this.tenants.update(caller, id, request);
  }
}
