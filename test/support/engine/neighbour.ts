import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { waitUntil } from '../wait-until';

/** Serves HTTP on each port and DNS on 53; prints each request. `/to?URL` redirects. */
const program = `
const http = require('node:http');
const [ports, nameServer, names] = JSON.parse(process.argv[1]);
for (const port of ports) {
  http.createServer((request, response) => {
    console.log('http ' + request.socket.localAddress + ':' + port + ' ' + request.url);
    const [path, to] = request.url.split('?');
    if (path === '/to') response.writeHead(302, { location: to });
    response.end('reached');
  }).listen(port, '0.0.0.0');
}
const dns = require('node:dgram').createSocket('udp4');
dns.on('message', (query, from) => {
  console.log('datagram from ' + from.address);
  const labels = [];
  let at = 12;
  while (query[at] > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
    at += query[at] + 1;
  }
  const address = query.readUInt16BE(at + 1) === 1 ? names[labels.join('.')] : undefined;
  const answer = Buffer.concat([query.subarray(0, at + 5), address === undefined ? Buffer.alloc(0) :
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)])]);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(address === undefined ? 0 : 1, 6);
  answer.writeUInt32BE(0, 8);
  dns.send(answer, from.port, from.address);
});
dns.bind(53, nameServer, () => console.log('ready'));
`;

export const [openPort, otherPort] = [8080, 8081];

/**
 * A machine beside this one, in a network namespace of its own: it has a private address, and two that are public as far
 * as anybody can tell (TEST-NET-3).
 */
export class Neighbour {
  /** What it was asked, a line each: `http ADDRESS:PORT PATH`, and `datagram from ADDRESS` for its name server. */
  public readonly requests: string[] = [];

  private constructor(
    private readonly name: string,
    public readonly privateAddress: string,
    public readonly publicAddress: string,
    /** Also public: where its name server is asked. */
    public readonly nameServer: string,
    /** This host's own addresses on the way to it. */
    public readonly hostAddresses: readonly string[],
    private readonly child: ChildProcess,
  ) {}

  /** @param names what its name server says beside `public.test` and `private.test` */
  public static async start(names: Readonly<Record<string, string>>): Promise<Neighbour> {
    const number = randomInt(32);
    const name = `iftest${number}`;
    const inside = [`203.0.113.${number * 8 + 2}`, `203.0.113.${number * 8 + 3}`, `10.77.${number}.2`] as const;
    const outside = [`203.0.113.${number * 8 + 1}`, `10.77.${number}.1`];
    const ip = (...args: string[]): void => void execFileSync('ip', args);
    ip('netns', 'add', name);
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    for (const address of outside) ip('address', 'add', `${address}/29`, 'dev', name);
    for (const address of inside) ip('-n', name, 'address', 'add', `${address}/29`, 'dev', 'eth0');
    ip('link', 'set', name, 'up');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    const known = { 'public.test': inside[0], 'private.test': inside[2], ...names };
    const words = [process.execPath, '-e', program, JSON.stringify([[openPort, otherPort], inside[1], known])];
    const child = spawn('ip', ['netns', 'exec', name, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    const neighbour = new Neighbour(name, inside[2], inside[0], inside[1], outside, child);
    createInterface({ input: child.stdout }).on('line', (line) => neighbour.requests.push(line));
    await waitUntil(() => neighbour.requests.includes('ready'));
    return neighbour;
  }

  public async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
    execFileSync('ip', ['netns', 'delete', this.name]);
  }
}
