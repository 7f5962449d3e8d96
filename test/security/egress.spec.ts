import { execFileSync } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { BuildFailure } from '../../src/execution/image-builder';
import { ownAddresses } from '../../src/execution/git/public-address';
import { EngineRoom, shell, type BuildWishes, type Files } from '../support/engine/engine-room';
import { Neighbour, openPort, otherPort } from '../support/engine/neighbour';
import { processesWith } from '../support/engine/processes';
import { WorkerProcess } from '../support/engine/worker-process';
import { waitUntil } from '../support/wait-until';

// The rules are of root's network: an ordinary user's needs /dev/net/tun, and has the inner half of them.
const asRoot = process.geteuid?.() === 0 ? describe : describe.skip;

asRoot('a build', () => {
  const hits: string[] = [];
  const canary = http.createServer(({ socket, url }, response) => {
    hits.push(`${String(socket.localAddress)} ${String(url)}`);
    response.end('reached');
  });
  /** Of the canary, on every address of this host. */
  let port: number;
  let neighbour: Neighbour;
  let room: EngineRoom;

  beforeAll(async () => {
    await once(canary.listen(0, '::'), 'listening');
    const address = canary.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
    const [own = '127.0.0.1'] = ownAddresses().filter((each) => !each.startsWith('127.') && !each.includes(':'));
    neighbour = await Neighbour.start({ 'loopback.test': '127.0.0.1', 'host.test': own });
    const allow = [`${neighbour.privateAddress}:${otherPort}`];
    room = await EngineRoom.open({ egress: { allow, nameServers: [neighbour.nameServer] } });
  });

  afterAll(async () => {
    await room.close();
    await neighbour.stop();
    canary.close();
  });

  /** What was said by a build that had to fail. */
  async function failure(files: Files, wishes: BuildWishes = {}): Promise<string> {
    const { built, output } = await room.begin(files, { projectId: randomUUID(), ...wishes });
    const error: unknown = await built.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BuildFailure);
    return [error instanceof Error ? error.message : '', ...output.messages()].join('\n');
  }

  /** Requests that reached the neighbour at its private address, on the port that is not allowed, or its name server by another. */
  const strays = (): string[] =>
    neighbour.requests.filter(
      (line) =>
        line.includes(`${neighbour.privateAddress}:${openPort}`) || line.includes(`http ${neighbour.nameServer}:`),
    );

  it('reaches from RUN what is public and what is allowed, and neither this host nor what is private', async () => {
    const open = [`${neighbour.publicAddress} ${openPort}`, `${neighbour.privateAddress} ${otherPort}`];
    const hosts = [...ownAddresses(), ...neighbour.hostAddresses, '127.0.0.1', '0.0.0.0', '$gateway'];
    const shut = [
      ...hosts.map((host) => `${host} ${port}`),
      `::ffff:${neighbour.privateAddress} ${openPort}`,
      `64:ff9b::10.77.0.2 ${openPort}`,
      `${neighbour.privateAddress} ${openPort}`,
      `${neighbour.nameServer} ${openPort}`,
    ];
    const request = String.raw`printf 'GET / HTTP/1.0\r\n\r\n'`;
    const probe = (target: string): string =>
      `(${request} | nc -w 5 ${target} | grep -q reached && echo yes ${target} || echo no ${target})`;
    const others = [
      `(nslookup public.test ${neighbour.publicAddress} >/dev/null 2>&1 && echo yes dns || echo no dns)`,
      `(ping -c 1 -W 1 ${neighbour.privateAddress} >/dev/null 2>&1 && echo yes ping || echo no ping)`,
      `(ip link add dummy0 type dummy 2>/dev/null && echo yes admin || echo no admin)`,
      'grep CapEff /proc/self/status',
    ];
    const script = [
      "gateway=$(ip route | awk '/default/ { print $3 }'); echo gateway $gateway",
      ...[...open, ...shut].map(probe),
      ...others,
    ];
    const Dockerfile = `${shell}COPY probe /probe\nRUN sh /probe 2>/dev/null\n`;
    const { output } = await room.build({ Dockerfile, probe: `${script.join('\n')}\n` });
    const said = output.messages();
    const gateway = /^gateway (.+)$/m.exec(said.join('\n'))?.[1] ?? '';
    expect(gateway).toMatch(/^198\.19\./);
    expect(said.filter((line) => line.startsWith('yes '))).toEqual(open.map((target) => `yes ${target}`));
    const refused = [...shut.map((target) => target.replace('$gateway', gateway)), 'dns', 'ping', 'admin'];
    expect(said.filter((line) => line.startsWith('no '))).toEqual(refused.map((target) => `no ${target}`));
    const capabilities = /CapEff:\s*([0-9a-f]+)/.exec(said.join('\n'))?.[1] ?? 'f'.repeat(16);
    expect(BigInt(`0x${capabilities}`) & ((1n << 12n) | (1n << 21n))).toBe(0n);
    expect([hits, strays()]).toEqual([[], []]);
  });

  it('fails at once when the Dockerfile fetches from this host, also by a redirect or a name', async () => {
    const targets = [
      `http://127.0.0.1:${port}/x`,
      `http://loopback.test:${port}/x`,
      `http://public.test:${openPort}/to?http://private.test:${openPort}/x`,
    ];
    for (const target of targets) {
      const began = performance.now();
      expect(await failure({ Dockerfile: `FROM scratch\nADD ${target} /x\n` })).toMatch(/refused/);
      expect(performance.now() - began).toBeLessThan(30_000);
    }
    expect(neighbour.requests.filter((line) => line.includes('/to?'))).toHaveLength(1);
    expect([hits, strays()]).toEqual([[], []]);
  });

  it('says that images of private registries are neither pulled nor pushed', async () => {
    const [here, there] = [`127.0.0.1:${port}`, `${neighbour.privateAddress}:${openPort}`];
    const refusal = (server: string): string => `BUILD_EGRESS_ALLOW=${server}`;
    expect(await failure({ Dockerfile: `FROM ${here}/x\n` })).toContain(refusal(here));
    expect(await failure({ Dockerfile: `FROM scratch\nCOPY --from=${there}/y / /\n` })).toContain(refusal(there));
    const pushed = await failure({ Dockerfile: 'FROM scratch\nCOPY busybox /\n' }, { imageRepository: `${here}/z` });
    expect(pushed).toContain(refusal(here));
    expect([hits, strays()]).toEqual([[], []]);
  });

  it('has its sources fetched through the same rules', async () => {
    const dir = path.join(room.dataDir, 'work');
    await room.cage.makeDir(dir);
    const view = room.cage.view({ writable: { work: dir } });
    const urls = [
      `http://127.0.0.1:${port}/a`,
      `http://private.test:${openPort}/a`,
      `http://public.test:${openPort}/a`,
    ];
    for (const url of urls) await view.run('own')(['git', 'ls-remote', url], { env: { HOME: '/' } });
    expect([hits, strays()]).toEqual([[], []]);
    expect(neighbour.requests.some((line) => line.includes('/a/info/refs'))).toBe(true);
  });

  it('reaches no other build that runs at once', async () => {
    const stop = new AbortController();
    const listen = 'echo at $(ip -4 -o addr show dev eth0 | grep -o "198[0-9.]*" | head -n 1); nc -l -p 9000 | cat';
    const { built, output } = await room.begin(
      { Dockerfile: `${shell}RUN ${listen}\n` },
      { projectId: randomUUID(), signal: stop.signal },
    );
    await waitUntil(() => output.messages().some((message) => message.startsWith('at 198.')));
    const address = output
      .messages()
      .find((message) => message.startsWith('at 198.'))
      ?.slice(3);
    const knock = `RUN echo secret | nc -w 2 ${String(address)} 9000 && echo got in || echo kept out\n`;
    const other = await room.build({ Dockerfile: `${shell}${knock}` }, { projectId: randomUUID() });
    expect(other.output.messages()).toContain('kept out');
    expect(output.messages()).not.toContain('secret');
    stop.abort(new Error('seen'));
    await expect(built).rejects.toThrow('seen');
  });

  it('sends under no address but its own, even if it gets hold of its network', async () => {
    const stop = new AbortController();
    const seconds = randomInt(100_000, 999_999);
    const { built } = await room.begin(
      { Dockerfile: `${shell}RUN sleep ${seconds}\n` },
      { projectId: randomUUID(), signal: stop.signal },
    );
    const steps = (): number[] => processesWith(`sleep\0${seconds}`);
    await waitUntil(() => steps().length > 0);
    const [step] = steps();
    const inside = (...command: string[]): void =>
      void execFileSync('nsenter', ['--net', '--target', String(step), ...command]);
    const borrowed = '192.0.2.77';
    inside('ip', 'address', 'add', `${borrowed}/32`, 'dev', 'lo');
    const send = (from: string): void => {
      const then = `() => socket.send(Buffer.alloc(17), 53, '${neighbour.nameServer}', () => socket.close())`;
      inside(process.execPath, '-e', `const socket = dgram.createSocket('udp4'); socket.bind(0, '${from}', ${then})`);
    };
    const senders = (): string[] => neighbour.requests.filter((line) => line.startsWith('datagram from '));
    const before = senders().length;
    send(borrowed);
    send('0.0.0.0');
    await waitUntil(() => senders().length > before);
    expect(senders()).not.toContain(`datagram from ${borrowed}`);
    stop.abort(new Error('seen'));
    await expect(built).rejects.toThrow('seen');
  });

  it('has a bounded number of connections, which the host has to remember', async () => {
    const count = (): number => Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_count', 'utf8'));
    const stop = new AbortController();
    const seconds = randomInt(100_000, 999_999);
    const { built } = await room.begin(
      { Dockerfile: `${shell}RUN sleep ${seconds}\n` },
      { projectId: randomUUID(), signal: stop.signal },
    );
    const steps = (): number[] => processesWith(`sleep\0${seconds}`);
    await waitUntil(() => steps().length > 0);
    const before = count();
    const send = `const socket = dgram.createSocket('udp4');
      socket.on('error', () => undefined);
      let left = 9000;
      const next = () => left-- > 0 ? socket.send('x', 20000 + left, '${neighbour.publicAddress}', next) : socket.close();
      next();`;
    execFileSync('nsenter', ['--net', '--target', String(steps()[0]), process.execPath, '-e', send]);
    const added = count() - before;
    expect(added).toBeGreaterThan(2_000);
    expect(added).toBeLessThan(5_000);
    stop.abort(new Error('seen'));
    await expect(built).rejects.toThrow('seen');
  });

  it('leaves no rule and no interface when its worker is killed', async () => {
    const home = await mkdtemp(path.join(os.tmpdir(), 'image-factory-engine-'));
    const Dockerfile = `${shell}RUN echo at $(ip -4 -o addr show dev eth0 | grep -o "198[0-9.]*" | head -n 1); sleep 600\n`;
    const worker = WorkerProcess.start({ home, files: { Dockerfile }, wishes: {} });
    await waitUntil(() => worker.text.includes(': at 198.'), 120_000);
    const [, third = '', fourth = ''] = /: at 198\.19\.(\d+)\.(\d+)/.exec(worker.text) ?? [];
    const name = `ifcage${Number(third) * 64 + Math.floor(Number(fourth) / 4)}`;
    const traces = (): boolean[] =>
      [
        ['nft', 'list', 'tables'],
        ['ip', '-o', 'link'],
      ].map(([tool = '', ...args]) => new RegExp(`\\b${name}\\b`).test(execFileSync(tool, args, { encoding: 'utf8' })));
    expect(traces()).toEqual([true, true]);
    await worker.kill();
    await waitUntil(() => traces().every((there) => !there));
    await room.cage.removeDir(home);
    await rm(home, { recursive: true, force: true });
  });
});
