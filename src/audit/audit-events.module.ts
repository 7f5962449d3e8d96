import { Module } from '@nestjs/common';
import { AuditEventsController } from './audit-events.controller';
import { AuditEventsService } from './audit-events.service';
import { RefusalFlush } from './refusal-flush';

/** Shows the log, and stores what is told beside the requests. Not global, as those end after the database. */
@Module({
  controllers: [AuditEventsController],
  providers: [AuditEventsService, RefusalFlush],
})
export class AuditEventsModule {}
