import type { Identity } from '../access/identity';
import type { RequestOrigin } from '../http/request-origin';
import { type Actor, actorOf, anonymous, platformTenant, type Resource } from './audit-event';

/** The account that somebody tried to get into. */
export interface TriedAccount {
  readonly id: string;
  readonly tenantId: string;
}

/** A request of whoever: also of one who is not let in, and at the doors that are open to everybody. */
export class Visit {
  /** Set once the request has an event, so that its refusal is not told a second time. */
  public isRecorded = false;
  private tried: TriedAccount | null = null;

  /** @param identityOf the verified identity, as soon as there is one */
  public constructor(
    public readonly origin: RequestOrigin,
    private readonly identityOf: () => Identity | undefined,
  ) {}

  /** The account that the request tries to get into: should it be refused, the tenant of the account is told. */
  public tries(account: TriedAccount): void {
    this.tried = account;
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
