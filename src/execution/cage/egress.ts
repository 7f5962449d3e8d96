import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { deniedSubnets, isOwnAddress, isPublicAddress, ownAddresses } from '../git/public-address';

export interface EgressOptions {
  /** `host:port` of each server that builds may reach although its address is private or this host's. */
  readonly allow: readonly string[];
  /** IPv4 addresses of the name servers that builds ask; empty: those of the host that a cage can reach. */
  readonly nameServers: readonly string[];
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What a cage may reach beside the public Internet. */
export interface Openings {
  /** Their port 53, and nothing else of them. */
  readonly nameServers: readonly string[];
  readonly direct: readonly Endpoint[];
  /** Servers of this host, whose addresses mean the cage itself inside: a relay leads to them. */
  readonly relayed: readonly Endpoint[];
}

/** Of one command at once: the host remembers every one, and has room for some 100,000 of all. */
const mostConnections = 4_096;

/** Resolves the allowed servers as of now; a name without an address opens nothing. */
export async function findOpenings(allow: readonly string[], nameServers: readonly string[]): Promise<Openings> {
  const found = (await Promise.all(allow.map(endpointsOf))).flat();
  const endpoints = [...new Map(found.map((each) => [`${each.address} ${each.port}`, each])).values()];
  return {
    nameServers,
    direct: endpoints.filter(({ address }) => isIPv4(address) && !isOwnAddress(address)),
    relayed: endpoints.filter(({ address }) => isOwnAddress(address)),
  };
}

/** Why a build cannot reach a registry or another server, in words for its owner; null when no rule is in its way. */
export async function refusalOf(server: string, usualPort: number, allow: readonly string[]): Promise<string | null> {
  const { host, port } = splitServer(server, usualPort);
  const name = `${host}:${port}`;
  if (allow.includes(name)) return null;
  const addresses = await lookup(bare(host), { all: true }).catch(() => []);
  if (addresses.length === 0 || addresses.some(({ address }) => isPublicAddress(address))) return null;
  return `${host} has a private address, which builds may not reach; the operator can allow it with BUILD_EGRESS_ALLOW=${name}`;
}

/**
 * The rules of a cage's own namespace. They reject, so that a command sees at once that it may not. IPv6 has no way out
 * today; it is refused all the same.
 */
export function innerRules({ nameServers, direct }: Openings): string {
  const refused = [...new Set([...nameServers, ...ownAddresses().filter((each) => isIPv4(each))])];
  return `table inet image_factory {
  chain output {
    type filter hook output priority filter; policy accept;
    oifname "lo" accept
    ct state established,related accept
    ct state new ct count over ${mostConnections} goto refuse
${accepts(nameServers, direct)}
    meta nfproto ipv6 goto refuse
    meta l4proto { tcp, udp } th dport 53 goto refuse
    ip daddr { ${deniedSubnets.join(', ')} } goto refuse
    ${refused.length === 0 ? '' : `ip daddr { ${refused.join(', ')} } goto refuse`}
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
  }
}
`;
}

/** The same again for the host, in one line: what enters from the cage's interface, which the shell puts for IFCAGE. */
export function outerRules({ nameServers, direct }: Openings): string {
  const servers = nameServers.length === 0 ? '' : `ip daddr { ${nameServers.join(', ')} } drop`;
  const deaf = nameServers.length === 0 ? 'drop' : `ip daddr != { ${nameServers.join(', ')} } drop`;
  const rules = `table inet IFCAGE {
    flags owner;
    chain input {
      type filter hook input priority filter; policy accept;
      iifname "IFCAGE" ct state new ct count over ${mostConnections} drop
      iifname "IFCAGE" meta nfproto ipv6 drop
      iifname "IFCAGE" ${deaf}
    }
    chain forward {
      type filter hook forward priority filter; policy accept;
      iifname "IFCAGE" jump egress
    }
    chain egress {
      ct state established,related accept
      ct state new ct count over ${mostConnections} drop
${accepts(nameServers, direct)}
      meta nfproto ipv6 drop
      meta l4proto { tcp, udp } th dport 53 drop
      ip daddr { ${deniedSubnets.join(', ')} } drop
      ${servers}
    }
  }`;
  return rules
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => (/[{;]$/.test(line) ? line : `${line};`))
    .join(' ');
}

function accepts(nameServers: readonly string[], direct: readonly Endpoint[]): string {
  return [
    ...nameServers.map((address) => `ip daddr ${address} meta l4proto { tcp, udp } th dport 53 accept`),
    ...direct.map(({ address, port }) => `ip daddr ${address} tcp dport ${port} accept`),
  ].join('\n');
}

async function endpointsOf(server: string): Promise<Endpoint[]> {
  const { host, port } = splitServer(server, 0);
  const addresses = await lookup(bare(host), { all: true }).catch(() => []);
  return addresses.map(({ address }) => ({ address, port }));
}

function splitServer(server: string, usualPort: number): { readonly host: string; readonly port: number } {
  const [, host = '', port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(server.toLowerCase()) ?? [];
  return { host, port: port === undefined ? usualPort : Number(port) };
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
