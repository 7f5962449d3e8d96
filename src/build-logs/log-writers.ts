import { Injectable } from '@nestjs/common';
import { isDatabaseUnavailable } from '../database/database-errors';
import { BuildLogsRepository } from './build-logs.repository';
import { LogPublisher } from './log-publisher';
import { LogWriter } from './log-writer';

/** Makes the writers of running builds. */
@Injectable()
export class LogWriters {
  public constructor(
    private readonly repository: BuildLogsRepository,
    private readonly publisher: LogPublisher,
  ) {}

  /** @param token the lease that `setWriter` made the log's writer */
  public open(buildId: string, token: string): LogWriter {
    return new LogWriter({
      buildId,
      token,
      store: this.repository,
      onStored: (event) => {
        this.publisher.publish(event);
      },
      isTrouble: isDatabaseUnavailable,
    });
  }
}
