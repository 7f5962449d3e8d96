import type { LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import type { Env } from './env';

/** One JSON line an event, on standard output. */
export function createLogger(level: Env['LOG_LEVEL']): Logger {
  return pino({ level, timestamp: pino.stdTimeFunctions.isoTime });
}

/** Nest tells of every module and every route at each start; the OpenAPI document does so better. */
function isInventory(context: unknown): boolean {
  return ['InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'WebSocketsController'].includes(String(context));
}

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** Lets Nest and our own `new Logger(context)` write through pino. */
export class NestPinoLogger implements LoggerService {
  public constructor(private readonly logger: Logger) {}

  public log(message: unknown, ...rest: unknown[]): void {
    this.write(isInventory(rest.at(-1)) ? 'debug' : 'info', message, rest);
  }

  public error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  public warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  public debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  public verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }

  public fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  /** Nest appends the context as the last argument; before it may stand a text or a stack that belongs to an error. */
  private write(level: Level, message: unknown, rest: unknown[]): void {
    const context = typeof rest.at(-1) === 'string' ? rest.at(-1) : undefined;
    // Nest's own report of an error that stops the start; `main` says it in one line.
    if (context === 'ExceptionHandler') return;
    const more = rest.slice(0, context === undefined ? undefined : -1).filter((item) => item !== undefined);
    if (message instanceof Error) {
      this.logger[level]({ context, err: message }, more.map(String).join(' ') || message.message);
    } else if (typeof message === 'object' && message !== null) {
      this.logger[level]({ context, ...message }, more.map(String).join(' '));
    } else {
      this.logger[level]({ context }, [message, ...more].map(String).join(' '));
    }
  }
}
