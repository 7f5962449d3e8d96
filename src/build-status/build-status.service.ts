import { Injectable } from '@nestjs/common';
import type { Identity } from '../access/identity';
import { buildNotFound } from '../build-logs/build-not-found';
import type { BuildProgressDto, BuildStatusDto } from './build-status.dto';
import { BuildStatusRepository, type StatusRow } from './build-status.repository';
import { remainingMs } from './completion-estimate';

/** The most that is shown of a build that has not succeeded. */
const nearlyDone = 99;

function progressOf({ status, stepsDone, stepsTotal }: StatusRow): BuildProgressDto | null {
  if (status === 'queued') return null;
  const share = stepsTotal === 0 ? 0 : Math.floor((100 * stepsDone) / stepsTotal);
  return {
    current_step: stepsDone,
    total_steps: stepsTotal,
    percentage: status === 'success' ? 100 : Math.min(share, nearlyDone),
  };
}

function estimateOf(row: StatusRow): string | null {
  const remaining = row.status === 'in_progress' ? remainingMs(row) : null;
  return remaining === null ? null : new Date(row.now.getTime() + remaining).toISOString();
}

@Injectable()
export class BuildStatusService {
  public constructor(private readonly statuses: BuildStatusRepository) {}

  public async get({ tenantId }: Identity, id: string): Promise<BuildStatusDto> {
    const row = await this.statuses.find(tenantId, id);
    if (row === null) throw buildNotFound();
    return {
      build_id: id,
      status: row.status,
      progress: progressOf(row),
      queue_position: row.queuePosition,
      started_at: row.startedAt?.toISOString() ?? null,
      estimated_completion: estimateOf(row),
      error: row.errorMessage,
    };
  }
}
