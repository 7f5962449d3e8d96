import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DATABASE_ADDRESS, type DatabaseAddress } from './database-address';

/** What processes tell one another. A notification only wakes: the truth is always in the tables. */
export type Wake =
  /** A build can be claimed. */
  | { readonly kind: 'queue' }
  /** A build was cancelled or deleted: its worker must stop it. */
  | { readonly kind: 'control'; readonly buildId: string }
  /** A log has grown to `totalLines`, or has ended. */
  | { readonly kind: 'log'; readonly buildId: string; readonly totalLines: number; readonly ended: boolean }
  /** The listener was connected (again): anything may have been missed. */
  | { readonly kind: 'resync' };

type Sent = Exclude<Wake, { kind: 'resync' }>;

const channel = 'image_factory';
const reconnectDelayMs = 250;

/**
 * LISTEN/NOTIFY on two connections of its own, one channel. Sending is coalesced: while one statement is under way,
 * later wakes of the same build replace each other, and the next statement carries all that gathered.
 */
@Injectable()
export class Notifications implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(Notifications.name);
  private readonly origin = randomUUID();
  private readonly listeners = new Set<(wake: Wake) => void>();
  private readonly pending = new Map<string, Sent>();
  private readonly stopping = new AbortController();
  private receiver: Client | undefined;
  private sender: Client | undefined;
  private flushing: Promise<void> | undefined;

  public constructor(@Inject(DATABASE_ADDRESS) private readonly address: DatabaseAddress) {}

  public async onModuleInit(): Promise<void> {
    await this.listen();
  }

  /** Subscribes to the wakes of this process and every other. Returns the unsubscription. */
  public subscribe(listener: (wake: Wake) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Wakes this process at once and the others through the database. Call it after the commit, never inside. */
  public wake(wake: Sent): void {
    this.deliver(wake);
    this.announce(wake);
  }

  /** Wakes the other processes only: for what this one already knows. */
  public announce(wake: Sent): void {
    const key = 'buildId' in wake ? `${wake.kind}:${wake.buildId}` : wake.kind;
    const earlier = this.pending.get(key);
    const ended = earlier?.kind === 'log' && earlier.ended;
    this.pending.set(key, wake.kind === 'log' ? { ...wake, ended: wake.ended || ended } : wake);
    this.startFlush();
  }

  public async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.flushing;
    await Promise.allSettled([this.receiver?.end(), this.sender?.end()]);
  }

  private deliver(wake: Wake): void {
    for (const listener of this.listeners) {
      try {
        listener(wake);
      } catch (error) {
        this.logger.error(error, `A listener of the wake "${wake.kind}" failed`);
      }
    }
  }

  /** What was announced while the last flush was coming to its end is not forgotten. */
  private startFlush(): void {
    this.flushing ??= this.flush().finally(() => {
      this.flushing = undefined;
      if (this.pending.size > 0 && !this.stopped()) this.startFlush();
    });
  }

  private async flush(): Promise<void> {
    while (this.pending.size > 0) {
      const wakes = [...this.pending.values()];
      this.pending.clear();
      try {
        this.sender ??= await this.connect('sender', (lost) => {
          if (this.sender === lost) this.sender = undefined;
        });
        await this.sender.query('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', [
          channel,
          wakes.map((wake) => JSON.stringify({ from: this.origin, wake })),
        ]);
      } catch (error) {
        // Every reader of a wake also polls slowly, so a lost one costs time and nothing else.
        if (!this.stopped()) this.logger.warn(`${wakes.length} wakes were not sent: ${String(error)}`);
        const broken = this.sender;
        this.sender = undefined;
        await broken?.end();
        return;
      }
    }
  }

  private async listen(): Promise<void> {
    const client = await this.connect('listener', (lost) => {
      if (this.receiver === lost) void this.reconnect();
    });
    try {
      client.on('notification', ({ payload }) => {
        this.receive(payload ?? '');
      });
      await client.query(`LISTEN ${channel}`);
    } catch (error) {
      await client.end();
      throw error;
    }
    this.receiver = client;
    this.deliver({ kind: 'resync' });
  }

  private receive(payload: string): void {
    try {
      const { from, wake } = JSON.parse(payload) as { from: string; wake: Sent };
      if (from !== this.origin) this.deliver(wake);
    } catch {
      this.logger.warn('A notification is not one of ours');
    }
  }

  private async reconnect(): Promise<void> {
    this.receiver = undefined;
    for (let said = false; !this.stopped();) {
      try {
        await sleep(reconnectDelayMs, undefined, { signal: this.stopping.signal });
        await this.listen();
        return;
      } catch (error) {
        if (!said && !this.stopped()) this.logger.warn(`Listening for notifications failed: ${String(error)}`);
        said = true;
      }
    }
  }

  private async connect(part: string, onLost: (client: Client) => void): Promise<Client> {
    const client = new Client({
      connectionString: this.address.url,
      application_name: `image-factory ${part}`,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
    });
    let lost = false;
    const onEnd = (): void => {
      if (lost || this.stopped()) return;
      lost = true;
      client.end().catch(() => undefined);
      onLost(client);
    };
    client.on('error', onEnd);
    client.on('end', onEnd);
    await client.connect();
    // Connected while the service was shutting down: nobody would close it.
    if (this.stopped()) await client.end();
    return client;
  }

  private stopped(): boolean {
    return this.stopping.signal.aborted;
  }
}
