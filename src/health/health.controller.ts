import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheckService, TypeOrmHealthIndicator, type HealthCheckResult } from '@nestjs/terminus';
import { Public } from '../access/require-permission.decorator';
import { Lifetime } from '../config/lifetime';
import { ApiError } from '../http/api-error';
import { ErrorResponses } from '../http/error-responses.decorator';
import { EngineHealth } from './engine-health';

const databaseTimeoutMs = 3_000;
const okExample = { status: 'ok', info: { database: { status: 'up' } } };

@ApiTags('Health')
@Controller('health')
export class HealthController {
  public constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
    private readonly engine: EngineHealth,
    private readonly lifetime: Lifetime,
  ) {}

  @Get('live')
  @Public({ operationId: 'live', summary: 'The process runs' })
  @ApiOkResponse({ description: 'Alive', example: { status: 'ok' } })
  public live(): { status: string } {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public({
    operationId: 'ready',
    summary: 'The process can serve',
    description:
      'The database is migrated and answers; where this process is a worker, its engine answers too. A process that was ' +
      'told to stop is not ready, although it still serves.',
  })
  @ApiOkResponse({ description: 'Ready', example: okExample })
  @ErrorResponses([503, 'Not ready; `details` says what is missing'])
  public async ready(): Promise<HealthCheckResult> {
    if (this.lifetime.stop.aborted) throw notReady({ process: 'shuts down' });
    try {
      return await this.health.check([
        () => this.database.pingCheck('database', { timeout: databaseTimeoutMs }),
        () => this.engine.check(),
      ]);
    } catch (error) {
      throw notReady(detailsOf(error), error);
    }
  }
}

function notReady(details: Readonly<Record<string, string>>, cause?: unknown): ApiError {
  return new ApiError(503, 'Not ready', details, { cause, headers: { 'Retry-After': '2' } });
}

/** What Terminus found to be down. */
function detailsOf(error: unknown): Record<string, string> {
  const response: unknown = error instanceof Error && 'response' in error ? error.response : undefined;
  const found: unknown = typeof response === 'object' && response !== null && 'error' in response ? response.error : {};
  return Object.fromEntries(
    Object.entries(found ?? {}).map(([name, state]: [string, unknown]) => {
      const message: unknown = typeof state === 'object' && state !== null && 'message' in state ? state.message : null;
      return [name, name === 'engine' && typeof message === 'string' ? message : 'does not answer'];
    }),
  );
}
