import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { ClientAddress } from './client-address';
import { ErrorEnvelopeFilter } from './error-envelope.filter';
import { Idempotency } from './idempotency';
import { validationPipe } from './validation.pipe';

@Global()
@Module({
  providers: [
    ClientAddress,
    Idempotency,
    { provide: APP_FILTER, useClass: ErrorEnvelopeFilter },
    { provide: APP_PIPE, useFactory: validationPipe },
  ],
  exports: [ClientAddress, Idempotency],
})
export class HttpModule {}
