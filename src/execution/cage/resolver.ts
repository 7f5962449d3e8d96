import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';

/** Where the host's list of name servers may stand; systemd keeps the real ones behind its local stub in the second. */
const files = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

/**
 * The resolv.conf for a cage's own network, which has IPv4 only and no way to the host's loopback: the name servers of the
 * host that it can reach, with the host's search list. Null when the host names none.
 */
export async function reachableResolver(): Promise<string | null> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => /^(nameserver|search|domain|options)\s/.test(line));
    const kept = lines.filter((line) => {
      const [word, address = ''] = line.split(/\s+/);
      return word !== 'nameserver' || (isIPv4(address) && !address.startsWith('127.'));
    });
    if (kept.some((line) => line.startsWith('nameserver'))) return `${kept.join('\n')}\n`;
  }
  return null;
}

/** The resolv.conf that asks these name servers alone. */
export function chosenResolver(nameServers: readonly string[]): string {
  return nameServers.map((address) => `nameserver ${address}\n`).join('');
}

/** The name servers that a resolv.conf asks. */
export function nameServersOf(resolver: string): string[] {
  return [...new Set([...resolver.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address]) => address ?? ''))];
}
