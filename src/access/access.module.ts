import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { ENV, type Env } from '../config/env';
import { JsonBodyGuard } from '../http/json-body.guard';
import { AccessGuard } from './access.guard';
import { Authenticator } from './authenticator';
import { OwnTokens } from './own-tokens';
import { RequestLimits } from './request-limits';
import { loadSigningKey } from './signing-key';

@Global()
@Module({
  imports: [
    JwtModule.registerAsync({
      inject: [ENV],
      useFactory: async (env: Env) => ({ secret: await loadSigningKey(env) }),
    }),
  ],
  providers: [
    OwnTokens,
    Authenticator,
    RequestLimits,
    // In this order.
    { provide: APP_GUARD, useClass: AccessGuard },
    { provide: APP_GUARD, useClass: JsonBodyGuard },
  ],
  exports: [Authenticator, RequestLimits, JwtModule],
})
export class AccessModule {}
