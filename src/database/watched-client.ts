import { Client, type Notification } from 'pg';

/** How often a connection is asked for a sign of life. */
const beatMs = 5_000;
/** How long it may take to connect, or to answer. */
const patienceMs = 2_500;

export interface WatchedClientEvents {
  /** Told once, as soon as the connection is known to be gone; never after `close`. */
  readonly onLost: () => void;
  readonly onNotification?: (payload: string) => void;
}

/**
 * A connection of its own that is kept open. One whose peer vanished without a word (a firewall that forgot it, a host
 * without power) looks idle for as long as TCP likes, so this one is asked for a sign of life every 5 s.
 */
export class WatchedClient {
  private readonly client: Client;
  private beat: NodeJS.Timeout | undefined;
  private isClosed = false;

  private constructor(
    url: string,
    name: string,
    private readonly events: WatchedClientEvents,
  ) {
    this.client = new Client({
      connectionString: url,
      application_name: `image-factory ${name}`,
      connectionTimeoutMillis: patienceMs,
      query_timeout: patienceMs,
      keepAlive: true,
    });
    this.client.on('error', this.lose);
    this.client.on('end', this.lose);
    this.client.on('notification', ({ payload }: Notification) => events.onNotification?.(payload ?? ''));
  }

  /** Connects. @throws Error of `pg` when the server does not answer within 2.5 s, refuses, or hangs up at once */
  public static async open(url: string, name: string, events: WatchedClientEvents): Promise<WatchedClient> {
    const watched = new WatchedClient(url, name, events);
    try {
      await watched.client.connect();
      watched.requireOpen();
    } catch (error) {
      void watched.close();
      throw error;
    }
    watched.beat = setInterval(() => void watched.query('SELECT 1').catch(() => undefined), beatMs).unref();
    return watched;
  }

  /** One that is not answered in time ends the connection: nobody knows any more what will come over it. */
  public async query(sql: string, values: readonly unknown[] = []): Promise<void> {
    try {
      await this.client.query(sql, [...values]);
    } catch (error) {
      this.lose();
      throw error;
    }
  }

  /**
   * The server may have ended the connection in the same breath as its answer, before who waited for that went on.
   * @throws Error when the connection is gone
   */
  public requireOpen(): void {
    if (this.isClosed) throw new Error('Connection terminated unexpectedly');
  }

  public async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.beat);
    await this.client.end();
  }

  private readonly lose = (): void => {
    if (this.isClosed) return;
    this.close().catch(() => undefined);
    this.events.onLost();
  };
}
