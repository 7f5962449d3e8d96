import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { StatementReader } from './statement-reader';

/** What all connections through a proxy are subject to. */
interface Trouble {
  /** What passed, if somebody listens. */
  statements: string[] | undefined;
  delayMs: number;
  /** The answer to the commit of the next transaction with such a statement gets lost, and its connection with it. */
  lostCommitOf: RegExp | undefined;
}

/** A connection through the proxy: the service is outside, the database inside. */
class Pair {
  private isSilent = false;
  private readonly reader = new StatementReader();
  /** Its statements so far; null outside of one, where each statement is committed by itself. */
  private transaction: string | null = null;
  private losesAnswer = false;

  public constructor(
    private readonly inner: net.Socket,
    private readonly outer: net.Socket,
    private readonly trouble: Trouble,
  ) {
    outer.on('data', (chunk: Buffer) => {
      this.watch(chunk);
      this.pass(inner, chunk);
    });
    inner.on('data', (chunk: Buffer) => {
      // An answer shows that the database has done it.
      if (this.losesAnswer) this.cut();
      else this.pass(outer, chunk);
    });
    this.join(inner, outer);
    this.join(outer, inner);
  }

  public silence(): void {
    this.isSilent = true;
  }

  public cut(): void {
    this.inner.destroy();
    this.outer.destroy();
  }

  private join(from: net.Socket, to: net.Socket): void {
    from.on('error', () => undefined);
    from.on('close', () => {
      // A peer that vanished says nothing of its end.
      if (!this.isSilent) to.destroy();
    });
  }

  private pass(to: net.Socket, chunk: Buffer): void {
    if (this.isSilent) return;
    const { delayMs } = this.trouble;
    if (delayMs === 0) to.write(chunk);
    else setTimeout(() => to.write(chunk), delayMs);
  }

  private watch(chunk: Buffer): void {
    for (const statement of this.reader.read(chunk)) {
      this.trouble.statements?.push(statement);
      if (statement.includes('START TRANSACTION')) this.transaction = '';
      else if (statement.includes('COMMIT')) this.committing(this.transaction ?? '');
      else if (statement.includes('ROLLBACK')) this.transaction = null;
      else if (this.transaction === null) this.committing(statement);
      else this.transaction += statement;
    }
  }

  private committing(statements: string): void {
    this.transaction = null;
    if (this.trouble.lostCommitOf?.test(statements) !== true) return;
    this.trouble.lostCommitOf = undefined;
    this.losesAnswer = true;
  }
}

/** The way between a service and its database, over TCP, which a test may make slow, silent or impassable. */
export class DatabaseProxy {
  private readonly trouble: Trouble = { statements: undefined, delayMs: 0, lostCommitOf: undefined };
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

  /** The statements, of all connections, that pass while something is done; those of transactions' begin and end as well. */
  public async listen(done: () => Promise<unknown>): Promise<readonly string[]> {
    const statements: string[] = [];
    this.trouble.statements = statements;
    try {
      await done();
    } finally {
      this.trouble.statements = undefined;
    }
    return statements;
  }

  /** How long each piece takes on its way from now on. */
  public delay(ms: number): void {
    this.trouble.delayMs = ms;
  }

  /** Lets the database commit the next transaction with such a statement, and loses the answer. */
  public loseCommitOf(statement: RegExp): void {
    this.trouble.lostCommitOf = statement;
  }

  /** Whether that has happened. */
  public get hasLostCommit(): boolean {
    return this.trouble.lostCommitOf === undefined;
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
    const pair = new Pair(inner, outer, this.trouble);
    if (this.isSwallowing) pair.silence();
    this.pairs.add(pair);
    outer.on('close', () => {
      this.pairs.delete(pair);
      inner.destroy();
    });
  }
}
