import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import { CurrentIdentity } from '../access/current-identity.decorator';
import type { Identity } from '../access/identity';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { PageQuery } from '../http/page';
import { UuidParam } from '../http/uuid-param';
import {
  CreateProjectDto,
  exampleProject,
  exampleProjectList,
  ProjectDto,
  ProjectListDto,
  UpdateProjectDto,
} from './project.dto';
import { ProjectsService } from './projects.service';

const idParam = { name: 'id', description: 'Project ID (UUID)', schema: { type: 'string', format: 'uuid' } } as const;
const absent = [404, 'No such project in this tenant', 'Project not found'] as const;
const nameTaken = [409, 'The name is taken', 'A project of this name exists already'] as const;

@ApiTags('Projects')
@Controller('projects')
export class ProjectsController {
  public constructor(private readonly projects: ProjectsService) {}

  @Post()
  @RequirePermission('project:create', { operationId: 'createProject', summary: 'Create a project' })
  @ApiCreatedResponse({ type: ProjectDto, description: 'Project created', example: exampleProject })
  @ErrorResponses(400, nameTaken)
  public create(@CurrentIdentity() identity: Identity, @Body() request: CreateProjectDto): Promise<ProjectDto> {
    return this.projects.create(identity, request);
  }

  @Get()
  @RequirePermission('project:list', { operationId: 'listProjects', summary: 'List the projects of this tenant' })
  @ApiOkResponse({ type: ProjectListDto, description: 'Projects, newest first', example: exampleProjectList })
  @ErrorResponses(400)
  public list(@CurrentIdentity() identity: Identity, @Query() page: PageQuery): Promise<ProjectListDto> {
    return this.projects.list(identity, page);
  }

  @Get(':id')
  @RequirePermission('project:read', { operationId: 'getProject', summary: 'Get a project' })
  @ApiParam(idParam)
  @ApiOkResponse({ type: ProjectDto, description: 'Project', example: exampleProject })
  @ErrorResponses(400, absent)
  public get(@CurrentIdentity() identity: Identity, @UuidParam('id') id: string): Promise<ProjectDto> {
    return this.projects.get(identity, id);
  }

  @Patch(':id')
  @RequirePermission('project:update', { operationId: 'updateProject', summary: 'Change a project' })
  @ApiParam(idParam)
  @ApiOkResponse({
    type: ProjectDto,
    description: 'Project as it is now; builds that run already keep what they had',
    example: exampleProject,
  })
  @ErrorResponses(400, absent, nameTaken)
  public update(
    @CurrentIdentity() identity: Identity,
    @UuidParam('id') id: string,
    @Body() request: UpdateProjectDto,
  ): Promise<ProjectDto> {
    return this.projects.update(identity, id, request);
  }
}
