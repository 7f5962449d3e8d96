import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { PageQuery } from '../http/page';
import { UuidParam } from '../http/uuid-param';
import { CreateUserDto, exampleUser, exampleUserList, UpdateUserDto, UserDto, UserListDto } from './user.dto';
import { UsersService } from './users.service';

@ApiTags('Users')
@Controller('users')
export class UsersController {
  public constructor(private readonly users: UsersService) {}

  @Post()
  @RequirePermission('user:create', { operationId: 'createUser', summary: 'Create a user of this tenant' })
  @ApiCreatedResponse({ type: UserDto, description: 'User created', example: exampleUser })
  @ErrorResponses(400, [409, 'The e-mail address is taken', 'This e-mail address has an account already'])
  public create(@CurrentCaller() caller: Caller, @Body() request: CreateUserDto): Promise<UserDto> {
    return this.users.create(caller, request);
  }

  @Get()
  @RequirePermission('user:list', { operationId: 'listUsers', summary: 'List the users of this tenant' })
  @ApiOkResponse({ type: UserListDto, description: 'Users, oldest first', example: exampleUserList })
  @ErrorResponses(400)
  public list(@CurrentCaller() caller: Caller, @Query() page: PageQuery): Promise<UserListDto> {
    return this.users.list(caller, page);
  }

  @Patch(':id')
  @RequirePermission('user:update', { operationId: 'updateUser', summary: "Change a user's role, disable or enable" })
  @ApiParam({ name: 'id', description: 'User ID (UUID)', schema: { type: 'string', format: 'uuid' } })
  @ApiOkResponse({ type: UserDto, description: 'User as it is now', example: exampleUser })
  @ErrorResponses(400, [404, 'No such user in this tenant', 'User not found'], [409, 'One cannot change oneself'])
  public update(
    @CurrentCaller() caller: Caller,
    @UuidParam('id') id: string,
    @Body() request: UpdateUserDto,
  ): Promise<UserDto> {
    return this.users.update(caller, id, request);
  }
}
