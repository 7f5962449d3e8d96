import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { GitHttpServer, type Interception } from '../../support/git-http-server';
import { GitRepository } from '../../support/git-repository';
import { GitCheckoutBench } from './git-checkout-bench';

const repository = new GitRepository();
const ends: (() => void | Promise<void>)[] = [];

beforeAll(() => {
  repository.commit({ a: '1' });
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

afterAll(() => {
  repository.remove();
});

async function serve(intercept: Interception): Promise<GitHttpServer> {
  const server = await GitHttpServer.start(repository, { intercept });
  ends.push(() => server.stop());
  return server;
}

function makeBench(): GitCheckoutBench {
  const bench = new GitCheckoutBench();
  ends.push(() => {
    bench.remove();
  });
  return bench;
}

/** Answers every request with this status. */
function refuse(status: number, headers: Record<string, string> = {}): Interception {
  return (_, response) => {
    response.writeHead(status, headers).end('no\n');
    return true;
  };
}

/** The living processes whose command line contains a text. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

describe('GitCheckout, a server in trouble', () => {
  it.each([
    [404, (url: string) => `There is no git repository at ${url}.`],
    [401, (url: string) => `Access to ${url} was denied, or there is no such repository: `],
    [403, (url: string) => `Access to ${url} was denied, or there is no such repository: `],
  ])('says what %d means, without a further try', async (status, message) => {
    const server = await serve(refuse(status, { 'www-authenticate': 'Basic realm="x"' }));
    await expect(makeBench().checkout(server.url, {})).rejects.toThrow(message(server.url));
    expect(server.requests.length).toBe(1);
  });

  it('does not follow a redirect', async () => {
    const target = await serve(refuse(500));
    const server = await serve((request, response) =>
      refuse(302, { location: `${target.origin}${request.url ?? ''}` })(request, response),
    );
    await expect(makeBench().checkout(server.url, {})).rejects.toThrow(`${server.url} redirects to another place`);
    expect(target.requests).toEqual([]);
  });

  it('tries three times in all, and says why it gives up', async () => {
    const server = await serve(refuse(503));
    const bench = makeBench();
    await expect(bench.checkout(server.url, {})).rejects.toThrow(/^Cannot reach http:.* 503 \(after 3 tries\)\.$/);
    expect(server.requests.length).toBe(3);
    const told = /^WARN Network trouble: .* 503; try (\d) of 3 follows in 0.05 s$/;
    const tries = bench.lines.map((line) => told.exec(line)?.[1]).filter((number) => number !== undefined);
    expect(tries).toEqual(['2', '3']);
  });

  it('gets through when the trouble passes', async () => {
    let failures = 2;
    const server = await serve((request, response) => {
      if (failures === 0) return false;
      failures -= 1;
      if (failures === 1) return refuse(502)(request, response);
      request.socket.destroy();
      return true;
    });
    const bench = makeBench();
    await bench.checkout(server.url, {});
    expect(bench.files()).toEqual(['a']);
  });

  it('takes silence for trouble: it tries again, and says in plain words that the server sends nothing', async () => {
    const server = await serve((_, response) => {
      // One tells nothing at all, the next stops after it began.
      if (server.requests.length % 2 === 0) response.writeHead(200).write('001e# service=git-upload-pack\n');
      return true;
    });
    const bench = new GitCheckoutBench(undefined, { patienceSeconds: 1 });
    ends.push(() => {
      bench.remove();
    });
    await expect(bench.checkout(server.url, {})).rejects.toThrow(
      /^Cannot reach http:.*: Operation too slow\. .*\(after 3 tries\)\.$/,
    );
    expect(server.requests.length).toBe(3);
    expect(processesWith(server.url)).toEqual([]);
  });

  it('says that nobody listens, or that there is no such host', async () => {
    const server = await GitHttpServer.start(repository);
    const { url } = server;
    await server.stop();
    await expect(makeBench().checkout(url, {})).rejects.toThrow(
      /^Cannot reach .*Failed to connect.*\(after 3 tries\)\.$/,
    );
    await expect(makeBench().checkout('http://host.invalid/a', {})).rejects.toThrow(
      /^Cannot reach http:\/\/host\.invalid\/a: /,
    );
  });

  it('shows no credentials, and asks nobody for some', async () => {
    const server = await serve(refuse(401, { 'www-authenticate': 'Basic realm="x"' }));
    const url = server.url.replace('http://', 'http://somebody:swordfish-123@');
    const bench = makeBench();
    const message = await bench.checkout(url, {}).then(String, String);
    expect(message).toContain('http://***@127.0.0.1');
    expect([message, ...bench.lines].join('\n')).not.toMatch(/swordfish|somebody/);
  });

  it('ends on abort while the server never answers, and leaves no process', async () => {
    const server = await serve(() => true);
    const abort = new AbortController();
    const checkout = makeBench().checkout(server.url, {}, abort.signal);
    checkout.catch(() => undefined);
    while (server.requests.length === 0) await sleep(20);
    expect(processesWith(server.url).length).toBeGreaterThan(0);
    const started = performance.now();
    abort.abort(new Error('cancelled'));
    await expect(checkout).rejects.toThrow('cancelled');
    expect(processesWith(server.url)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(9_000);
  });

  it('ends on abort while it waits for the next try', async () => {
    const server = await serve(refuse(503));
    const bench = new GitCheckoutBench(undefined, { retryDelaysMs: [600_000] });
    ends.push(() => {
      bench.remove();
    });
    const abort = new AbortController();
    const checkout = bench.checkout(server.url, {}, abort.signal);
    checkout.catch(() => undefined);
    while (!bench.lines.some((line) => line.includes('try 2 of 2'))) await sleep(20);
    abort.abort(new Error('cancelled'));
    await expect(checkout).rejects.toThrow('cancelled');
  });
});
