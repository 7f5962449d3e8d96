import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, Caller } from './caller';

const pauseMs = 50;
const patienceMs = 60_000;

/**
 * A client of several replicas that repeats what was not answered, or answered 503, at the next one. Each of its writes
 * carries one Idempotency-Key over all tries.
 */
export class RetryingCaller {
  /** Tries that got no answer: refused or broken connections. */
  public reconnects = 0;
  /** Tries that were answered 503. */
  public refusals = 0;
  /** Every status that was answered. */
  public readonly statuses = new Set<number>();

  public constructor(
    private readonly urls: readonly string[],
    public readonly token: string,
    /** Which replica is asked first. */
    private turn = 0,
  ) {}

  public get<Body>(path: string): Promise<Answer<Body>> {
    return this.send('GET', path);
  }

  public post<Body>(path: string, body?: unknown, key: string = randomUUID()): Promise<Answer<Body>> {
    return this.send('POST', path, body, { 'Idempotency-Key': key });
  }

  private async send<Body>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<Body>> {
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline; this.turn += 1) {
      try {
        const caller = new Caller(this.urls[this.turn % this.urls.length] ?? '', this.token);
        const answer = await caller.send<Body>(method, path, body, headers);
        this.statuses.add(answer.status);
        if (answer.status !== 503) return answer;
        this.refusals += 1;
      } catch {
        this.reconnects += 1;
      }
      await sleep(pauseMs);
    }
    throw new Error(`${method} ${path} was not answered within ${patienceMs} ms`);
  }
}
