import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

/** A message of PostgreSQL's protocol (documentation, chapter 55.7). */
function message(type: string, body = ''): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeInt32BE(Buffer.byteLength(body, 'latin1') + 4, 1);
  return Buffer.concat([head, Buffer.from(body, 'latin1')]);
}

const signedIn = message('R', '\0\0\0\0');
const ready = message('Z', 'I');
const done = message('C', 'SELECT 1\0');
const farewell = message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');

/** When a connection is ended in the same packet as an answer, as by a server that is told to stop just then. */
export type Haste = 'after sign-in' | 'after LISTEN';

/**
 * Speaks as much of PostgreSQL's protocol as LISTEN and NOTIFY need, because a real server does not end a connection in
 * the same packet as its answer on demand. Ends the first connection of that name so, and serves all others.
 */
export class HastyServer {
  public listens = 0;
  public notifies = 0;
  private isHasty = true;
  private readonly sockets = new Set<Socket>();
  private readonly server = net.createServer((socket) => {
    this.serve(socket);
  });

  public constructor(
    private readonly name: string,
    private readonly haste: Haste,
  ) {}

  /** Returns the address of a database on it. */
  public async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `postgres://somebody@127.0.0.1:${(this.server.address() as AddressInfo).port}/database`;
  }

  public async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private serve(socket: Socket): void {
    let left = Buffer.alloc(0);
    let name: string | undefined;
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      left = Buffer.concat([left, data]);
      for (;;) {
        // The first message has no type.
        const start = name === undefined ? 0 : 1;
        if (left.length < start + 4) return;
        const end = left.readInt32BE(start) + start;
        if (left.length < end) return;
        const text = left.toString('latin1', 0, end);
        left = left.subarray(end);
        if (name === undefined) {
          name = text;
          this.answer(socket, name, 'after sign-in', Buffer.concat([signedIn, ready]));
        } else {
          this.take(socket, name, text);
        }
      }
    });
  }

  private take(socket: Socket, name: string, text: string): void {
    if (text.startsWith('Q')) {
      if (text.includes('LISTEN')) {
        this.listens += 1;
        this.answer(socket, name, 'after LISTEN', Buffer.concat([done, ready]));
      } else {
        socket.write(Buffer.concat([done, ready]));
      }
    } else if (text.startsWith('P') && text.includes('pg_notify')) {
      this.notifies += 1;
    } else if (text.startsWith('S')) {
      socket.write(Buffer.concat([message('1'), message('2'), message('n'), done, ready]));
    } else if (text.startsWith('X')) {
      socket.end();
    }
  }

  private answer(socket: Socket, name: string, moment: Haste, answer: Buffer): void {
    const isThisOne = this.isHasty && moment === this.haste && name.includes(`image-factory ${this.name}`);
    if (!isThisOne) {
      socket.write(answer);
      return;
    }
    this.isHasty = false;
    socket.end(Buffer.concat([answer, farewell]));
  }
}
