import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

/** Stands before a server of the loopback, or before none, and stops answering when it is told to. */
export class StallingProxy {
  /** How many connections it has taken. */
  public connections = 0;
  private readonly sockets = new Set<net.Socket>();

  private constructor(
    private readonly server: net.Server,
    /** How many bytes of the answers pass on each new connection; then it stays open, and silent. */
    public passes: number,
  ) {}

  /** @param upstream the port of the server; without it, every connection is silent from the beginning */
  public static async start(upstream?: number): Promise<StallingProxy> {
    const server = net.createServer();
    const proxy = new StallingProxy(server, upstream === undefined ? 0 : Number.POSITIVE_INFINITY);
    server.on('connection', (client) => {
      proxy.connections += 1;
      proxy.keep(client);
      if (upstream === undefined) client.resume();
      else proxy.connect(client, net.connect(upstream, '127.0.0.1'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  public get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  public get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  public async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private connect(client: net.Socket, server: net.Socket): void {
    this.keep(server);
    client.pipe(server);
    let left = this.passes;
    server.on('data', (chunk: Buffer) => {
      if (left > 0) client.write(chunk.subarray(0, Math.min(left, chunk.length)));
      left -= chunk.length;
    });
    server.on('end', () => {
      if (left >= 0) client.end();
    });
  }

  private keep(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
  }
}
