import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { ENV, type Env } from '../config/env';
import { AccessGuard } from './access.guard';
import { loadSigningKey } from './signing-key';
import { TokenVerifier } from './token-verifier';

@Global()
@Module({
  imports: [
    JwtModule.registerAsync({
      inject: [ENV],
      useFactory: async (env: Env) => ({ secret: await loadSigningKey(env) }),
    }),
  ],
  providers: [TokenVerifier, { provide: APP_GUARD, useClass: AccessGuard }],
  exports: [TokenVerifier, JwtModule],
})
export class AccessModule {}
