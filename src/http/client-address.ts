import { Inject, Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import proxyaddr from 'proxy-addr';
import { ENV, type Env } from '../config/env';

/** How many groups of an IPv6 address name its network: one customer has a /64 at least. */
const networkGroups = 4;

/** Tells who asks: the peer, or what the proxies that the operator trusts say of theirs in `X-Forwarded-For`. */
@Injectable()
export class ClientAddress {
  private readonly isTrusted: (address: string, hops: number) => boolean;

  public constructor(@Inject(ENV) env: Pick<Env, 'TRUSTED_PROXIES'>) {
    this.isTrusted = proxyaddr.compile([...env.TRUSTED_PROXIES]);
  }

  /**
   * An IP address, an IPv4 one never as IPv6; empty when the connection is gone already. Where a trusted proxy passes on what
   * is no address, it is the proxy's own.
   */
  public of(request: IncomingMessage): string {
    const peer: string | undefined = request.socket.remoteAddress;
    if (peer === undefined) return '';
    const told = proxyaddr(request, this.isTrusted);
    return (isIP(told) === 0 ? peer : told).replace(/^::ffff:(?=[\d.]+$)/i, '');
  }

  /** What limits count as one client: the address, of IPv6 its network. */
  public networkOf(request: IncomingMessage): string {
    const address = this.of(request);
    return isIPv6(address) ? `${groupsOf(address).slice(0, networkGroups).join(':')}::/64` : address;
  }
}

/** The groups of an IPv6 address, with the zeros that `::` stands for. */
function groupsOf(address: string): string[] {
  const [plain = ''] = address.split('%', 1);
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  if (tail === undefined) return before;
  const after = tail === '' ? [] : tail.split(':');
  return [...before, ...Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0'), ...after];
}
