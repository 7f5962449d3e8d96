import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IntegerParam } from '../http/integer-param';
import { type LogLevel, logLevels } from './log-entry';

export class BuildLogsQuery {
  @IntegerParam({ min: 0, default: 0, description: 'Line offset for pagination' })
  public offset = 0;

  @IntegerParam({ min: 1, max: 1000, default: 100, description: 'Maximum lines to return' })
  public limit = 100;
}

@ApiSchema({ name: 'LogEntry', description: 'Single log entry' })
export class LogEntryDto {
  @ApiProperty({ type: 'string', format: 'date-time', description: 'Log entry timestamp' })
  public timestamp!: string;

  @ApiProperty({ enum: logLevels, description: 'Log level' })
  public level!: LogLevel;

  @ApiProperty({ description: 'Log message' })
  public message!: string;

  @ApiPropertyOptional({
    type: 'object',
    nullable: true,
    description: 'Additional metadata',
    additionalProperties: { type: 'string' },
    example: { step: 'build 2/5' },
  })
  public metadata!: Readonly<Record<string, string>> | null;
}

@ApiSchema({ name: 'BuildLogs', description: 'Build logs response' })
export class BuildLogsDto {
  @ApiPropertyOptional({ type: 'string', format: 'uuid' })
  public build_id!: string;

  @ApiPropertyOptional({ type: [LogEntryDto] })
  public logs!: LogEntryDto[];

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'Total number of log lines' })
  public total_lines!: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'Current offset' })
  public offset!: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, description: 'Requested limit' })
  public limit!: number;
}
