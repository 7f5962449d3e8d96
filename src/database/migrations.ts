import type { MigrationInterface } from 'typeorm';
import { Initial1795305600000 } from '../../migrations/1795305600000-initial';
import { LogCompaction1795392000000 } from '../../migrations/1795392000000-log-compaction';
import { QueueOrder1795478700000 } from '../../migrations/1795478700000-queue-order';
import { Retention1795480200000 } from '../../migrations/1795480200000-retention';
import { RateLimits1795485600000 } from '../../migrations/1795485600000-rate-limits';
import { KnownClients1795486000000 } from '../../migrations/1795486000000-known-clients';
import { ApiKeys1795490000000 } from '../../migrations/1795490000000-api-keys';
import { CountByStatement1795492000000 } from '../../migrations/1795492000000-count-by-statement';
import { ProjectSecrets1795495000000 } from '../../migrations/1795495000000-project-secrets';
import { AuditEvents1795498000000 } from '../../migrations/1795498000000-audit-events';
import { LastClaim1795501000000 } from '../../migrations/1795501000000-last-claim';

/** Every migration, the oldest first. Listed, not searched for: a file that is not here does not exist. */
export const migrations: readonly (new () => MigrationInterface)[] = [
  Initial1795305600000,
  LogCompaction1795392000000,
  QueueOrder1795478700000,
  Retention1795480200000,
  RateLimits1795485600000,
  KnownClients1795486000000,
  ApiKeys1795490000000,
  CountByStatement1795492000000,
  ProjectSecrets1795495000000,
  AuditEvents1795498000000,
  LastClaim1795501000000,
];
