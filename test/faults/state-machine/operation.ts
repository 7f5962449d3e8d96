import type { RunEnd, Stored } from '../driven/driven-run';

/** What is told of a build that was just made. */
export interface Made {
  readonly id: string;
  readonly number: number;
  readonly status: string;
}

/** What is told of a build that is there. */
export interface Seen {
  readonly status: string;
  readonly error: string | null;
}

/** A refusal: its status and code. */
export type Refusal = `${number} ${string}`;

/** Something that was asked or done, with what came of it. */
export type Action =
  | { readonly do: 'create'; readonly answer: Made | Refusal }
  | { readonly do: 'retry'; readonly id: string; readonly answer: Made | Refusal }
  | { readonly do: 'start' | 'get' | 'status'; readonly id: string; readonly answer: Seen | Refusal }
  | { readonly do: 'cancel'; readonly id: string; readonly reason: string; readonly answer: Seen | Refusal }
  | { readonly do: 'delete'; readonly id: string; readonly answer: 204 | Refusal }
  | { readonly do: 'logs'; readonly id: string; readonly answer: readonly string[] | Refusal }
  | { readonly do: 'list'; readonly answer: readonly (Made & Seen)[] }
  | { readonly do: 'delete project'; readonly answer: 204 | Refusal }
  /** `wasAlone`: nobody held a row locked meanwhile, over which the claim would have passed. */
  | { readonly do: 'claim'; readonly answer: Lease | null; readonly wasAlone: boolean }
  /** A worker's flush that was acknowledged. */
  | { readonly do: 'store'; readonly lease: Lease; readonly stored: Stored }
  /** A worker looked after its lease and was told to go on. */
  | { readonly do: 'go on'; readonly lease: Lease }
  | { readonly do: 'end'; readonly lease: Lease; readonly end: RunEnd; readonly stored: Stored | null }
  /** The lease ended, and a reaper looked. */
  | { readonly do: 'lose'; readonly lease: Lease };

export interface Lease {
  readonly id: string;
  readonly token: string;
}

/** An action and when it took place: somewhere between two ticks of the history's clock. */
export type Operation = Action & { readonly from: number; readonly to: number };

/** Everything that happened in one run, in the order in which it ended. */
export class History {
  public readonly operations: Operation[] = [];
  private time = 0;

  /** The next moment. No two are the same. */
  public tick(): number {
    this.time += 1;
    return this.time;
  }

  public add(from: number, action: Action): void {
    this.operations.push({ ...action, from, to: this.tick() });
  }

  /** Does something and remembers what came of it. */
  public async record(work: () => Promise<Action>): Promise<Action> {
    const from = this.tick();
    const action = await work();
    this.add(from, action);
    return action;
  }
}
