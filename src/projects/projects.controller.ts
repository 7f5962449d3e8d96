import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
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
  public create(@CurrentCaller() caller: Caller, @Body() request: CreateProjectDto): Promise<ProjectDto> {
    return this.projects.create(caller, request);
  }

  @Get()
  @RequirePermission('project:list', { operationId: 'listProjects', summary: 'List the projects of this tenant' })
  @ApiOkResponse({ type: ProjectListDto, description: 'Projects, newest first', example: exampleProjectList })
  @ErrorResponses(400)
  public list(@CurrentCaller() caller: Caller, @Query() page: PageQuery): Promise<ProjectListDto> {
    return this.projects.list(caller, page);
  }

  @Get(':id')
  @RequirePermission('project:read', { operationId: 'getProject', summary: 'Get a project' })
  @ApiParam(idParam)
  @ApiOkResponse({ type: ProjectDto, description: 'Project', example: exampleProject })
  @ErrorResponses(400, absent)
  public get(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<ProjectDto> {
    return this.projects.get(caller, id);
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
    @CurrentCaller() caller: Caller,
    @UuidParam('id') id: string,
    @Body() request: UpdateProjectDto,
  ): Promise<ProjectDto> {
    return this.projects.update(caller, id, request);
  }
}
