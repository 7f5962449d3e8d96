import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import type { LogMessage } from '../e2e/build-logs/log-client';

export interface ResumingFollowerOptions {
  /** The replicas, asked in turn. */
  readonly urls: readonly string[];
  readonly token: string;
  readonly buildId: string;
  /** Which replica is asked first. */
  readonly first?: number;
}

const pauseMs = 50;

/**
 * A client that follows a log to its end as the contract tells it to: after every break it goes on at the next replica,
 * with the number of lines it has as the offset. It drops and adds nothing, so its lines must be the stored log.
 */
export class ResumingFollower {
  /** What it was sent, over all of its connections. */
  public readonly messages: LogMessage[] = [];
  /** How its connections broke: a close code (1006 where nobody listened), or the status of a refusal. */
  public readonly breaks: number[] = [];
  /** Resolves with the reason of the close 1000. Rejects on what no client would repeat, such as 404 or 4404. */
  public readonly ended: Promise<string>;
  private readonly stopping = new AbortController();
  private socket: WebSocket | undefined;

  public constructor(private readonly options: ResumingFollowerOptions) {
    this.ended = this.follow();
    // Who waits for it learns of it then.
    this.ended.catch(() => undefined);
  }

  /** The texts of the lines so far. */
  public get lines(): string[] {
    return this.messages.map(({ message }) => message);
  }

  /** Gives up; `ended` rejects. */
  public stop(): void {
    this.stopping.abort(new Error('The follower was stopped'));
    this.socket?.terminate();
  }

  private async follow(): Promise<string> {
    const { urls, first = 0 } = this.options;
    for (let turn = first; ; turn += 1) {
      this.stopping.signal.throwIfAborted();
      const end = await this.connect(urls[turn % urls.length] ?? '');
      if (typeof end === 'object') return end.reason;
      if (!mayBeRepeated(end)) throw new Error(`The follower was refused: ${end}`);
      this.breaks.push(end);
      await sleep(pauseMs);
    }
  }

  /** One connection to its end: how it broke, or the reason with which the log ended. */
  private connect(url: string): Promise<number | { readonly reason: string }> {
    const { buildId, token } = this.options;
    const address = `${url.replace('http', 'ws')}/api/v1/builds/${buildId}/logs/stream?offset=${this.messages.length}`;
    const socket = new WebSocket(address, {
      headers: { Authorization: `Bearer ${token}` },
      handshakeTimeout: 10_000,
    });
    this.socket = socket;
    return new Promise((resolve) => {
      socket.on('message', (data: Buffer) => {
        this.messages.push(JSON.parse(data.toString()) as LogMessage);
      });
      socket.on('unexpected-response', (request, { statusCode }) => {
        request.destroy();
        resolve(statusCode ?? 1006);
      });
      // A close follows.
      socket.on('error', () => undefined);
      socket.on('close', (code, reason) => {
        resolve(code === 1000 ? { reason: reason.toString() } : code);
      });
    });
  }
}

/** The statuses and close codes after which a client tries again: not now, going away, gone without a word, read too slowly. */
function mayBeRepeated(end: number): boolean {
  return [429, 503, 1001, 1006, 1012, 1013].includes(end);
}
