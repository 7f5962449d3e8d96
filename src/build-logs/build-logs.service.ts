import { Injectable } from '@nestjs/common';
import { BuildLogsRepository } from './build-logs.repository';
import { buildNotFound } from './build-not-found';

/** Reads logs for users. An absent, a deleted and another tenant's build are the same 404. */
@Injectable()
export class BuildLogsService {
  public constructor(private readonly repository: BuildLogsRepository) {}

  /**
   * A page of the log as the JSON text of a `BuildLogs`: stored entries are put into it as they are.
   * @throws ApiError 404
   */
  public async page(buildId: string, tenantId: string, offset: number, limit: number): Promise<string> {
    const reading = await this.repository.read(buildId, tenantId, offset, limit);
    if (reading === null) throw buildNotFound();
    // Entries are JSON without newlines inside, so each newline is the boundary between two.
    const logs = reading.lines.replaceAll('\n', ',');
    return `{"build_id":"${buildId}","logs":[${logs}],"total_lines":${reading.totalLines},"offset":${offset},"limit":${limit}}`;
  }

  /** @throws ApiError 404 */
  public async requireReadable(buildId: string, tenantId: string): Promise<void> {
    if ((await this.repository.head(buildId, tenantId)) === null) throw buildNotFound();
  }
}
