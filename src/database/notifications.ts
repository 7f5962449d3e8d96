import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE_ADDRESS, type DatabaseAddress } from './database-address';
import { WatchedClient, type WatchedClientEvents } from './watched-client';

/** What processes tell one another. A notification only wakes: the truth is always in the tables. */
export type Wake =
  /** A build can be claimed. */
  | { readonly kind: 'queue' }
  /** A build was cancelled or deleted: its worker must stop it. */
  | { readonly kind: 'control'; readonly buildId: string }
  /** A log has grown to `totalLines`, or has ended. */
  | { readonly kind: 'log'; readonly buildId: string; readonly totalLines: number; readonly ended: boolean }
  /** Anything may have changed: many builds were withdrawn at once, or the listener was away. */
  | { readonly kind: 'resync' };

const channel = 'image_factory';
const retryMs = 250;

/** From one statement to the next: each wakes every replica, and the lines of a moment are read at once. */
const gatherMs = 5;

/** One costs every replica about as much as another: they are few. PostgreSQL allows 8,000 bytes; a wake has some 110. */
const wakesPerPayload = 50;

/**
 * LISTEN/NOTIFY on two connections of its own, one channel. Sending is coalesced: while one statement is under way or less
 * than 5 ms old, later wakes of the same build replace each other, and the next statement carries all that gathered. What could not be
 * sent waits until the database answers again.
 */
@Injectable()
export class Notifications implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(Notifications.name);
  private readonly origin = randomUUID();
  private readonly listeners = new Set<(wake: Wake) => void>();
  private readonly pending = new Map<string, Wake>();
  private readonly stopping = new AbortController();
  private receiver: WatchedClient | undefined;
  private sender: WatchedClient | undefined;
  private flushing: Promise<void> | undefined;
  private lastSentAt = Number.NEGATIVE_INFINITY;

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
  public wake(wake: Wake): void {
    this.deliver(wake);
    this.announce(wake);
  }

  /** Wakes the other processes only: for what this one already knows. */
  public announce(wake: Wake): void {
    const key = keyOf(wake);
    this.pending.set(key, joined(this.pending.get(key), wake));
    this.startFlush();
  }

  public async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.flushing;
    await Promise.allSettled([this.receiver?.close(), this.sender?.close()]);
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
    for (let failures = 0; this.pending.size > 0;) {
      const wait = this.lastSentAt + gatherMs - performance.now();
      if (wait > 0) await sleep(wait, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      this.lastSentAt = performance.now();
      const wakes = [...this.pending.values()];
      this.pending.clear();
      try {
        await this.send(wakes);
        failures = 0;
      } catch (error) {
        if (this.stopped()) return;
        if (failures === 0) this.logger.warn(`Wakes could not be sent yet: ${String(error)}`);
        failures += 1;
        for (const wake of wakes) {
          const key = keyOf(wake);
          this.pending.set(key, joined(wake, this.pending.get(key) ?? wake));
        }
        await sleep(retryMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
        if (this.stopped()) return;
      }
    }
  }

  private async send(wakes: readonly Wake[]): Promise<void> {
    this.sender ??= await this.connect('sender', {
      onLost: () => {
        this.sender = undefined;
      },
    });
    const { sender } = this;
    const payloads = Array.from({ length: Math.ceil(wakes.length / wakesPerPayload) }, (_, index) =>
      wakes.slice(index * wakesPerPayload, (index + 1) * wakesPerPayload),
    );
    try {
      await sender.query('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', [
        channel,
        payloads.map((each) => JSON.stringify({ from: this.origin, wakes: each })),
      ]);
    } catch (error) {
      // Lost right after it was opened, it had nobody to tell.
      if (this.sender === sender) this.sender = undefined;
      throw error;
    }
  }

  private async listen(): Promise<void> {
    const client = await this.connect('listener', {
      onLost: () => {
        if (this.receiver !== undefined) void this.reconnect();
      },
      onNotification: (payload) => {
        this.receive(payload);
      },
    });
    await client.query(`LISTEN ${channel}`);
    client.requireOpen();
    this.receiver = client;
    this.deliver({ kind: 'resync' });
  }

  private receive(payload: string): void {
    try {
      const { from, wakes } = JSON.parse(payload) as { from: string; wakes: Wake[] };
      if (from !== this.origin) for (const wake of wakes) this.deliver(wake);
    } catch {
      this.logger.warn('A notification is not one of ours');
    }
  }

  private async reconnect(): Promise<void> {
    this.receiver = undefined;
    for (let tries = 1; !this.stopped(); tries += 1) {
      try {
        await this.listen();
        return;
      } catch (error) {
        if (tries === 1 && !this.stopped()) this.logger.warn(`Listening for notifications failed: ${String(error)}`);
        await sleep(retryMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  private async connect(name: string, events: WatchedClientEvents): Promise<WatchedClient> {
    const client = await WatchedClient.open(this.address.url, name, events);
    if (!this.stopped()) return client;
    // Connected while the service was shutting down: nobody would close it.
    await client.close();
    throw new Error('The service shuts down');
  }

  private stopped(): boolean {
    return this.stopping.signal.aborted;
  }
}

function keyOf(wake: Wake): string {
  return 'buildId' in wake ? `${wake.kind}:${wake.buildId}` : wake.kind;
}

/** The later of two wakes with one key; the end of a log is not lost. */
function joined(earlier: Wake | undefined, later: Wake): Wake {
  const hasEnded = earlier?.kind === 'log' && earlier.ended;
  return later.kind === 'log' ? { ...later, ended: later.ended || hasEnded } : later;
}
