import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { IncomingMessage as Message } from 'node:http';
import { ClientAddress } from './client-address';

/** A request as it comes from a peer. */
function from(peer: string, forwardedFor?: string): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: peer });
  const request = new Message(socket);
  if (forwardedFor !== undefined) request.headers['x-forwarded-for'] = forwardedFor;
  return request;
}

describe('ClientAddress', () => {
  const alone = new ClientAddress({ TRUSTED_PROXIES: [] });
  const behindProxy = new ClientAddress({ TRUSTED_PROXIES: ['192.0.2.10', '10.0.0.0/8'] });

  it('is the peer, whatever that says of itself', () => {
    expect(alone.of(from('203.0.113.7', '198.51.100.1'))).toBe('203.0.113.7');
  });

  it('is what a trusted proxy says of its peer', () => {
    expect(behindProxy.of(from('192.0.2.10', '198.51.100.1'))).toBe('198.51.100.1');
  });

  it('is the last address that no trusted proxy has, not what the client put before it', () => {
    expect(behindProxy.of(from('10.1.2.3', '127.0.0.1, 198.51.100.1, 192.0.2.10'))).toBe('198.51.100.1');
  });

  it('is the proxy itself when that passes on what is no address', () => {
    expect(behindProxy.of(from('192.0.2.10', "'); --"))).toBe('192.0.2.10');
    expect(behindProxy.of(from('192.0.2.10', '198.51.100.1, unknown'))).toBe('192.0.2.10');
  });

  it('does not believe a peer that is no trusted proxy', () => {
    expect(behindProxy.of(from('203.0.113.7', '198.51.100.1'))).toBe('203.0.113.7');
  });

  it('writes an IPv4 address that came over IPv6 as IPv4', () => {
    expect(alone.of(from('::ffff:203.0.113.7'))).toBe('203.0.113.7');
    expect(alone.networkOf(from('::ffff:203.0.113.7'))).toBe('203.0.113.7');
  });

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('counts %s as the network %s', (address, network) => {
    expect(alone.networkOf(from(address))).toBe(network);
  });
});
