import type { IncomingMessage } from 'node:http';
import { bounded } from './bounded';
import type { ClientAddress } from './client-address';
import { traceIdOf } from './trace-id';

/** From where a request came. */
export interface RequestOrigin {
  readonly address: string | null;
  /** What counts as one client; not stored. */
  readonly network: string | null;
  readonly userAgent: string | null;
  readonly traceId: string | null;
}

/** Of what no request did, and of many requests together. */
export const nowhere: RequestOrigin = { address: null, network: null, userAgent: null, traceId: null };

export function originOf(request: IncomingMessage, addresses: ClientAddress): RequestOrigin {
  const agent = request.headers['user-agent'];
  return {
    address: addresses.of(request),
    network: addresses.networkOf(request),
    userAgent: agent === undefined ? null : bounded(agent),
    traceId: traceIdOf(request.headers),
  };
}
