import { HttpException } from '@nestjs/common';
import type { LogSink } from './log-sink';
import type { LogStreamOptions } from './log-stream-options';

/**
 * Closes a stream whose client would not be let in any more, as its API key was revoked or its tenant disabled. A request
 * is decided when it comes; a stream stays open, so its credential is looked at again and again.
 */
export class CredentialWatch {
  private readonly interval: NodeJS.Timeout;
  private isLooking = false;

  public constructor(
    private readonly recheck: () => Promise<void>,
    private readonly sink: Pick<LogSink, 'close'>,
    { recheckMs }: Pick<LogStreamOptions, 'recheckMs'>,
  ) {
    this.interval = setInterval(() => {
      void this.look();
    }, recheckMs).unref();
  }

  public stop(): void {
    clearInterval(this.interval);
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      await this.recheck();
    } catch (error) {
      // A database or an issuer that does not answer says nothing about the credential.
      if (isRefusal(error)) {
        this.stop();
        this.sink.close(4401, 'The credential is no longer valid');
      }
    } finally {
      this.isLooking = false;
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof HttpException && [401, 403].includes(error.getStatus());
}
