import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { type ErrorCode, errorCodes } from './error-body';

@ApiSchema({ name: 'Error' })
export class ErrorDto {
  @ApiProperty({ description: 'Error message' })
  public error!: string;

  @ApiProperty({ description: 'Error code', enum: errorCodes })
  public code!: ErrorCode;

  @ApiProperty({ format: 'date-time', type: 'string' })
  public timestamp!: string;

  @ApiPropertyOptional({ description: 'Request trace ID for debugging', type: 'string', nullable: true })
  public trace_id!: string | null;

  @ApiPropertyOptional({
    description: 'Additional error details: one entry for each offending field',
    type: 'object',
    nullable: true,
    additionalProperties: { type: 'string' },
  })
  public details!: Record<string, string> | null;
}
