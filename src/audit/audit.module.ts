import { Global, Module } from '@nestjs/common';
import { AuditEventsController } from './audit-events.controller';
import { AuditEventsRepository } from './audit-events.repository';
import { AuditEventsService } from './audit-events.service';
import { AuditLog } from './audit-log';
import { RefusalLog } from './refusal-log';
import { Visits } from './visits';

/** Who did what to which resource from where. */
@Global()
@Module({
  controllers: [AuditEventsController],
  providers: [Visits, AuditEventsRepository, AuditEventsService, AuditLog, RefusalLog],
  exports: [Visits, AuditEventsRepository, AuditLog, RefusalLog],
})
export class AuditModule {}
