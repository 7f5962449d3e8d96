import type { Socket } from 'node:net';
import { WebSocket } from 'ws';

/** Where a stream's frames go. */
export interface LogSink {
  /** False once the connection is closed or being closed: nothing may be written any more. */
  readonly isOpen: boolean;
  /** Bytes that wait in this process because the client does not take them. */
  readonly buffered: number;
  /** Changes when the kernel takes bytes of what waits. */
  readonly pending: number;
  /** Takes whole frames. */
  write(frames: Buffer): void;
  /** Resolves when nothing waits any more of what was written so far, or the connection is gone. */
  flushed(): Promise<void>;
  /** The client answers with the same payload when it has read all that was written before. */
  ping(payload: string): void;
  close(code: number, reason: string): void;
  /** Ends the connection without a word. */
  terminate(): void;
}

/** What libuv has not been able to write of the chunk that is under way: `buffered` counts all of it until it is done. */
function writeQueueSize(socket: Socket): number {
  const handle: unknown = '_handle' in socket ? socket._handle : null;
  if (typeof handle !== 'object' || handle === null || !('writeQueueSize' in handle)) return 0;
  return typeof handle.writeQueueSize === 'number' ? handle.writeQueueSize : 0;
}

/**
 * A WebSocket and the TCP connection below it. Frames are written to the connection itself, so that one buffer serves
 * every subscriber; `ws` writes its control frames whole and at once, so that neither can come inside the other.
 */
export class WebSocketSink implements LogSink {
  public constructor(
    private readonly client: WebSocket,
    private readonly socket: Socket,
  ) {}

  public get isOpen(): boolean {
    return this.client.readyState === WebSocket.OPEN;
  }

  public get buffered(): number {
    return this.socket.writableLength;
  }

  public get pending(): number {
    return writeQueueSize(this.socket);
  }

  public write(frames: Buffer): void {
    if (this.isOpen) this.socket.write(frames);
  }

  /** A ping's callback comes when all before it went out; the connection itself would tell only of a full buffer. */
  public async flushed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.client.ping('', false, () => {
        resolve();
      });
    });
  }

  public ping(payload: string): void {
    if (this.isOpen) this.client.ping(payload);
  }

  public close(code: number, reason: string): void {
    this.client.close(code, reason);
  }

  public terminate(): void {
    this.client.terminate();
  }
}
