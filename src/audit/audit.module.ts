import { Global, Module } from '@nestjs/common';
import { AuditEventsModule } from './audit-events.module';
import { AuditEventsRepository } from './audit-events.repository';
import { AuditLog } from './audit-log';
import { RefusalLog } from './refusal-log';
import { Visits } from './visits';

/** Who did what to which resource from where: for every room that does something. */
@Global()
@Module({
  imports: [AuditEventsModule],
  providers: [Visits, AuditEventsRepository, AuditLog, RefusalLog],
  exports: [Visits, AuditEventsRepository, AuditLog, RefusalLog],
})
export class AuditModule {}
