import { once } from 'node:events';
import net from 'node:net';
import { waitUntil } from './wait-until';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameWishes {
  readonly fin?: boolean;
  /** The three reserved bits, as a number from 0 to 7. */
  readonly reserved?: number;
  readonly masked?: boolean;
}

/** One frame as a client sends it (RFC 6455, section 5.2), or as it must not. The mask is zero. */
export function frame(
  opcode: number,
  content: string | Buffer = '',
  { fin = true, reserved = 0, masked = true }: FrameWishes = {},
): Buffer {
  const payload = Buffer.from(content);
  const long = payload.length > 125;
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode, (masked ? 0x80 : 0) | (long ? 126 : payload.length)];
  const length = long ? [payload.length >> 8, payload.length & 0xff] : [];
  return Buffer.concat([Buffer.from([...head, ...length, ...(masked ? [0, 0, 0, 0] : [])]), payload]);
}

/** The frame that closes with a code. */
export function closing(code: number, reason: string | Buffer = ''): Buffer {
  return frame(opcodes.close, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
}

/** What a server sent. */
export interface SentFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A client of a WebSocket without any manners: it sends the bytes that it is told to, and answers nothing by itself. */
export class RawSocket {
  /** When the server has ended its side, or cut the connection. */
  public readonly ended: Promise<unknown>;
  private bytes = Buffer.alloc(0);

  private constructor(private readonly socket: net.Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
    });
    socket.on('error', () => undefined);
    this.ended = Promise.race(['end', 'close'].map((event) => new Promise((resolve) => socket.once(event, resolve))));
  }

  /** Sends an opening handshake and waits for the head of the answer. */
  public static async open(
    port: number,
    target: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<RawSocket> {
    const client = new RawSocket(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
    await once(client.socket, 'connect');
    const lines = Object.entries({ ...handshake, ...headers }).map(([name, value]) => `${name}: ${value}`);
    client.send(Buffer.from([`GET ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n')));
    await waitUntil(() => client.bytes.includes('\r\n\r\n'));
    return client;
  }

  /** The head of the answer. */
  public get head(): string {
    return this.bytes.subarray(0, this.bytes.indexOf('\r\n\r\n')).toString('latin1');
  }

  /** Whole frames that have come so far. */
  public get frames(): SentFrame[] {
    const rest = this.bytes.subarray(this.bytes.indexOf('\r\n\r\n') + 4);
    const frames: SentFrame[] = [];
    for (let at = 0; at + 1 < rest.length;) {
      const short = (rest[at + 1] ?? 0) & 0x7f;
      const begin = at + (short === 126 ? 4 : 2);
      const length = short === 126 ? rest.readUInt16BE(at + 2) : short;
      frames.push({ opcode: (rest[at] ?? 0) & 0x0f, payload: rest.subarray(begin, begin + length) });
      at = begin + length;
    }
    return frames;
  }

  /** The payloads of the frames of a kind. */
  public payloads(opcode: number): string[] {
    return this.frames.filter((one) => one.opcode === opcode).map(({ payload }) => payload.toString());
  }

  /** The code with which the server closed; 1005 for none (RFC 6455, section 7.1.5), null when it did not. */
  public get closeCode(): number | null {
    const close = this.frames.find(({ opcode }) => opcode === opcodes.close);
    if (close === undefined) return null;
    return close.payload.length === 0 ? 1005 : close.payload.readUInt16BE(0);
  }

  public send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Ends our side as well. */
  public hangUp(): void {
    this.socket.end();
  }

  public destroy(): void {
    this.socket.destroy();
  }
}

const handshake = {
  Host: '127.0.0.1',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': Buffer.alloc(16, 7).toString('base64'),
};
