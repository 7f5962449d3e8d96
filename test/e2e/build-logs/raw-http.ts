import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a server sent, byte by byte: HTTP's own clients hide what a refused upgrade looks like. */
export class RawAnswer {
  public readonly status: number;
  public readonly headers: Readonly<Record<string, string | undefined>>;
  /** The body, as long as Content-Length says. */
  public readonly text: string;
  /** What came after it. */
  public readonly rest: string;
  private readonly body: Buffer;

  public constructor(bytes: Buffer) {
    const end = bytes.indexOf('\r\n\r\n');
    const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
    this.status = Number(first.split(' ')[1]);
    this.headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    this.body = bytes.subarray(end + 4);
    const length = Number(this.headers['content-length'] ?? 0);
    this.text = this.body.subarray(0, length).toString();
    this.rest = this.body.subarray(length).toString();
  }

  public json(): unknown {
    return JSON.parse(this.text);
  }

  /** The short frames after a 101. */
  public get frames(): { opcode: number; payload: string }[] {
    const frames = [];
    for (let at = 0; at + 1 < this.body.length;) {
      const length = (this.body[at + 1] ?? 0) & 0x7f;
      frames.push({
        opcode: (this.body[at] ?? 0) & 0x0f,
        payload: this.body.subarray(at + 2, at + 2 + length).toString(),
      });
      at += 2 + length;
    }
    return frames;
  }
}

/** Sends one request and reads until the server closes, or has been upgraded and says no more. */
export async function rawRequest(
  port: number,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  after: Buffer = Buffer.alloc(0),
): Promise<RawAnswer> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(Buffer.concat([Buffer.from([`${method} ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n')), after]));
    const chunks: Buffer[] = [];
    const closed = once(socket, 'close');
    let quiet = Promise.resolve<unknown>(undefined);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      quiet = sleep(150);
    });
    await Promise.race([closed, once(socket, 'data')]);
    for (let last; last !== quiet;) {
      last = quiet;
      await Promise.race([closed, quiet]);
    }
    return new RawAnswer(Buffer.concat(chunks));
  } finally {
    socket.destroy();
  }
}
