import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, Caller } from '../support/caller';

/** An answer, and whether an earlier try of the same request may have done its work already. */
export interface Settled<Body> {
  readonly answer: Answer<Body>;
  readonly isRepeated: boolean;
}

const pauseMs = 100;
const answerMs = 15_000;
/** On a busy machine a process takes its time to start again, and all of them may be down at once. */
const patienceMs = 180_000;

/** Nobody answered for minutes. */
export class Unanswered extends Error {
  public override readonly name = 'Unanswered';
}

/** A client that repeats what was not answered, or answered 503 or 429, at the next replica. */
export class PatientCaller {
  /** Tries that were repeated. */
  public repeats = 0;

  public constructor(
    private readonly urls: readonly string[],
    public readonly token: string,
    private readonly signal: AbortSignal,
    /** Which replica is asked first. */
    private turn: number,
  ) {}

  public get<Body>(path: string): Promise<Settled<Body>> {
    return this.send('GET', path);
  }

  public post<Body>(path: string, body?: unknown, key?: string): Promise<Settled<Body>> {
    return this.send('POST', path, body, key === undefined ? {} : { 'Idempotency-Key': key });
  }

  public delete(path: string): Promise<Settled<void>> {
    return this.send('DELETE', path);
  }

  private async send<Body>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Settled<Body>> {
    const deadline = Date.now() + patienceMs;
    let last = '';
    for (let tries = 0; Date.now() < deadline; tries += 1, this.turn += 1) {
      this.signal.throwIfAborted();
      let pause = pauseMs;
      try {
        const caller = new Caller(this.urls[this.turn % this.urls.length] ?? '', this.token);
        const answer = await within(answerMs, caller.send<Body>(method, path, body, headers));
        if (answer.status !== 503 && answer.status !== 429) return { answer, isRepeated: tries > 0 };
        last = `${answer.status}`;
        // The other replica may do better, so only a second round waits as long as it is told to.
        if (tries % this.urls.length > 0) pause = Number(answer.headers.get('retry-after') ?? 1) * 1_000;
      } catch (error) {
        last = String(error);
      }
      this.repeats += 1;
      await sleep(pause, undefined, { signal: this.signal });
    }
    throw new Unanswered(`${method} ${path} was not answered within ${patienceMs} ms: ${last}`);
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).then(() => {
    throw new Error(`No answer within ${ms} ms`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}
