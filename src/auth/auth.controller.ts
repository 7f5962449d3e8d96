import { Body, Controller, Get, HttpCode, Post, Req } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { Public, RequireSignIn } from '../access/require-permission.decorator';
import { Visits } from '../audit/visits';
import { ErrorResponses } from '../http/error-responses.decorator';
import { exampleTokenPair, LoginDto, RefreshDto, TokenPairDto } from './auth.dto';
import { AuthService } from './auth.service';
import { exampleMe, MeDto } from './me.dto';

@ApiTags('Auth')
@Controller('auth')
export class AuthController {
  public constructor(
    private readonly auth: AuthService,
    private readonly visits: Visits,
  ) {}

  @Post('login')
  @HttpCode(200)
  @Public({ operationId: 'login', summary: 'Sign in with e-mail and password' })
  @ApiOkResponse({ type: TokenPairDto, description: 'Signed in', example: exampleTokenPair })
  @ErrorResponses(400, [401, 'Wrong e-mail address or password', 'The e-mail address or the password is wrong'], 429)
  public login(@Body() login: LoginDto, @Req() request: Request): Promise<TokenPairDto> {
    return this.auth.login(login, this.visits.of(request));
  }

  @Post('refresh')
  @HttpCode(200)
  @Public({ operationId: 'refresh', summary: 'Trade a refresh token for a new pair of tokens' })
  @ApiOkResponse({
    type: TokenPairDto,
    description: 'New tokens; the old refresh token is spent',
    example: exampleTokenPair,
  })
  @ErrorResponses(400, [401, 'The refresh token is unknown, spent, revoked or expired'], 429)
  public refresh(@Body() body: RefreshDto, @Req() request: Request): Promise<TokenPairDto> {
    return this.auth.refresh(body.refresh_token, this.visits.of(request));
  }

  @Post('logout')
  @HttpCode(204)
  @RequireSignIn({ operationId: 'logout', summary: 'Sign out: revoke the refresh tokens of this sign-in' })
  @ApiNoContentResponse({ description: 'Signed out' })
  @ErrorResponses(400)
  public logout(@CurrentCaller() caller: Caller, @Body() request: RefreshDto): Promise<void> {
    return this.auth.logout(caller, request.refresh_token);
  }

  @Get('me')
  @RequireSignIn({ operationId: 'getMe', summary: 'Who am I, and what may I do' })
  @ApiOkResponse({ type: MeDto, description: 'The signed-in user', example: exampleMe })
  public me(@CurrentCaller() caller: Caller): Promise<MeDto> {
    return this.auth.me(caller);
  }
}
