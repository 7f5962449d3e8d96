import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';

/** What becomes of a connection through the proxy. */
class Pair {
  private isSilent = false;

  public constructor(
    private readonly inner: net.Socket,
    private readonly outer: net.Socket,
    delayMs: () => number,
  ) {
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      from.on('data', (chunk) => {
        if (this.isSilent) return;
        if (delayMs() === 0) to.write(chunk);
        else setTimeout(() => to.write(chunk), delayMs());
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        // A peer that vanished says nothing of its end.
        if (!this.isSilent) to.destroy();
      });
    }
  }

  public silence(): void {
    this.isSilent = true;
  }

  public cut(): void {
    this.inner.destroy();
    this.outer.destroy();
  }
}

/** The way between a service and its database, over TCP, which a test may make slow, silent or impassable. */
export class DatabaseProxy {
  /** How long each piece takes on its way. */
  public delayMs = 0;
  private readonly pairs = new Set<Pair>();
  private isSwallowing = false;

  private constructor(
    private readonly server: net.Server,
    private readonly port: number,
    private readonly target: URL,
  ) {}

  /** @param databaseUrl of a server that listens on a Unix socket */
  public static async start(databaseUrl: string): Promise<DatabaseProxy> {
    const server = net.createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port');
    const proxy = new DatabaseProxy(server, address.port, new URL(databaseUrl));
    server.on('connection', (outer) => {
      proxy.take(outer);
    });
    return proxy;
  }

  /** The same database, by the proxy. */
  public get url(): string {
    const user = this.target.searchParams.get('user') ?? '';
    return `postgres://${user}@127.0.0.1:${this.port}${this.target.pathname}`;
  }

  /** From now on nothing passes over the connections there are, and neither end is told. New ones work. */
  public silence(): void {
    for (const pair of this.pairs) pair.silence();
  }

  /** The same for connections that are made until `admit`: they are accepted, and nothing more. */
  public swallow(): void {
    this.silence();
    this.isSwallowing = true;
  }

  public admit(): void {
    this.isSwallowing = false;
  }

  /** Ends all connections. New ones work. */
  public cut(): void {
    for (const pair of this.pairs) pair.cut();
  }

  public async stop(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, 'close');
  }

  private take(outer: net.Socket): void {
    const socket = path.join(this.target.searchParams.get('host') ?? '', '.s.PGSQL.5432');
    const inner = net.connect(socket);
    const pair = new Pair(inner, outer, () => this.delayMs);
    if (this.isSwallowing) pair.silence();
    this.pairs.add(pair);
    outer.on('close', () => {
      this.pairs.delete(pair);
      inner.destroy();
    });
  }
}
