import { once } from 'node:events';
import WebSocket from 'ws';

export interface LogMessage {
  readonly build_id: string;
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** A real client of the log stream, which remembers all that it was sent. */
export class LogClient {
  public readonly messages: LogMessage[] = [];
  public readonly closed: Promise<{ code: number; reason: string }>;
  public pings = 0;
  private readonly waiting = new Set<() => void>();

  private constructor(public readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()) as LogMessage);
      for (const check of this.waiting) check();
    });
    socket.on('ping', () => {
      this.pings += 1;
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  public static async open(url: string, token: string, options: WebSocket.ClientOptions = {}): Promise<LogClient> {
    const client = new LogClient(
      new WebSocket(url, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } }),
    );
    await once(client.socket, 'open');
    return client;
  }

  /** The texts of the lines so far. */
  public get lines(): string[] {
    return this.messages.map(({ message }) => message);
  }

  public async received(count: number): Promise<void> {
    if (this.messages.length >= count) return;
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (this.messages.length < count) return;
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
    });
  }
}
