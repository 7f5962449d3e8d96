import { randomBytes } from 'node:crypto';
import net from 'node:net';

export interface FrameClientOptions {
  /** Of a WebSocket. */
  readonly url: string;
  readonly token: string;
  readonly onOpen: () => void;
  /** The payload of a text frame: the bytes of `chunk` from `start` to `end`. */
  readonly onText?: (chunk: Buffer, start: number, end: number) => void;
}

/** Opcodes of RFC 6455, section 5.2, with the bit of the last fragment. */
const text = 0x81;
const close = 0x88;
const ping = 0x89;
const pong = 0x8a;

/**
 * A client of a WebSocket that costs as little as one can which looks at what it is sent: a hundred of them on a core must not
 * be slower than the server. Answers pings. What closes its connection ends the process, as no figure would be right then.
 */
export class FrameClient {
  private readonly socket: net.Socket;
  private rest: Buffer = Buffer.alloc(0);

  public constructor(private readonly options: FrameClientOptions) {
    const { hostname, port, pathname, search, host } = new URL(options.url);
    this.socket = net.connect(Number(port), hostname, () => {
      this.socket.write(
        `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
          `${options.token === '' ? '' : `Authorization: Bearer ${options.token}\r\n`}\r\n`,
      );
    });
    this.socket.once('data', (answer) => {
      if (!answer.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(answer.toString());
      this.socket.on('data', (chunk) => {
        this.take(chunk);
      });
      options.onOpen();
      this.take(answer.subarray(answer.indexOf('\r\n\r\n') + 4));
    });
    this.socket.once('end', () => {
      throw new Error('The server hung up');
    });
  }

  private take(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    for (;;) {
      const start = at + headerLength(bytes, at);
      const end = start + payloadLength(bytes, at);
      // Beyond what has come, both are NaN or too large.
      if (!(end <= bytes.length)) break;
      this.handle(bytes, at, start, end);
      at = end;
    }
    this.rest = bytes.subarray(at);
  }

  private handle(bytes: Buffer, at: number, start: number, end: number): void {
    const kind = bytes[at];
    if (kind === text) {
      this.options.onText?.(bytes, start, end);
    } else if (kind === ping) {
      // With a mask of zeros, which leaves the payload as it is.
      this.socket.write(
        Buffer.concat([Buffer.from([pong, 0x80 | (end - start), 0, 0, 0, 0]), bytes.subarray(start, end)]),
      );
    } else if (kind === close) {
      throw new Error(`Closed with ${bytes.readUInt16BE(start)} ${bytes.toString('utf8', start + 2, end)}`);
    }
  }
}

function headerLength(bytes: Buffer, at: number): number {
  const short = bytes[at + 1];
  if (short === undefined) return NaN;
  if (short < 126) return 2;
  return short === 126 ? 4 : 10;
}

function payloadLength(bytes: Buffer, at: number): number {
  const short = bytes[at + 1] ?? NaN;
  if (short < 126) return short;
  const head = short === 126 ? 4 : 10;
  if (bytes.length < at + head) return NaN;
  return short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
}
