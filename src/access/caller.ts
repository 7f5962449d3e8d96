import type { IncomingMessage } from 'node:http';
import type { ClientAddress } from '../http/client-address';
import { originOf, type RequestOrigin } from '../http/request-origin';
import type { Identity, SignIn } from './identity';

/** Who asks, and from where: the identity of one request. */
export class Caller implements Identity {
  public readonly userId: string;
  public readonly tenantId: string;
  public readonly permissions: ReadonlySet<string>;
  public readonly expiresAt: number;
  public readonly signIn: SignIn;

  public constructor(
    identity: Identity,
    private readonly request: IncomingMessage,
    private readonly addresses: ClientAddress,
  ) {
    this.userId = identity.userId;
    this.tenantId = identity.tenantId;
    this.permissions = identity.permissions;
    this.expiresAt = identity.expiresAt;
    this.signIn = identity.signIn;
  }

  /** Only few requests are asked for it, so it is not found out before. */
  public get origin(): RequestOrigin {
    return originOf(this.request, this.addresses);
  }
}
