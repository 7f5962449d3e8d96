import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import os from 'node:os';

// What is not the public Internet (IANA special-purpose registries, RFC 6890): strangers' repositories have no business there.
const special4 = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'];
// The last one is where Azure's hosts answer their virtual machines.
const more4 = ['192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32'];

/** The networks of IPv4 that are not the public Internet. */
export const deniedSubnets: readonly string[] = [...special4, ...more4];

const special6 = [
  '::/128',
  '::1/128',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
];
// Each of these carries an IPv4 address that a gateway or the kernel would unwrap.
const wrapping6 = ['::ffff:0:0/96', '::/96', '2002::/16', '2001::/32'];

function blockList(subnets: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', prefix = ''] = subnet.split('/');
    list.addSubnet(network, Number(prefix), family);
  }
  return list;
}

const denied4 = blockList(deniedSubnets, 'ipv4');
const denied6 = blockList([...special6, ...wrapping6], 'ipv6');

/** The addresses of this host's interfaces, also the public ones. */
export function ownAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address));
}

/** Whether an IP address is this host's, and so leads nowhere else. */
export function isOwnAddress(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || ownAddresses().includes(address);
}

/** Whether an IP address is one of the public Internet and none of this host. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || isOwnAddress(address)) return false;
  return isIPv6(address) ? !denied6.check(address, 'ipv6') : !denied4.check(address, 'ipv4');
}

/**
 * The addresses of a host, those that are not public left out.
 * @throws the error of the resolver when the name has none at all.
 */
export async function publicAddressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address).filter(isPublicAddress);
}
