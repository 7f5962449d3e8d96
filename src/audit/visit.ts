import type { Identity } from '../access/identity';
import { type Actor, actorOf, anonymous, type Origin, platformTenant, type Resource } from './audit-event';

/** The account that somebody tried to get into. */
export interface TriedAccount {
  readonly id: string;
  readonly tenantId: string;
}

/** One request, for the time that it is being answered. */
export class Visit {
  /** Set once the request has an event, so that its refusal is not told a second time. */
  public isRecorded = false;
  private tried: TriedAccount | null = null;

  /** @param identityOf the verified identity, as soon as there is one */
  public constructor(
    public readonly origin: Origin,
    private readonly identityOf: () => Identity | undefined,
  ) {}

  /** A refusal is then told to the tenant of the account. */
  public tries(account: TriedAccount): void {
    this.tried = account;
  }

  public get identity(): Identity | undefined {
    return this.identityOf();
  }

  public get actor(): Actor {
    const identity = this.identityOf();
    if (identity !== undefined) return actorOf(identity);
    return { ...anonymous, tenantId: this.tried?.tenantId ?? platformTenant };
  }

  public get triedResource(): Resource | null {
    return this.tried === null ? null : { type: 'user', id: this.tried.id };
  }
}
