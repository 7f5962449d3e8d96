import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GitCommand } from '../../src/execution/git/git-command';
import { runProcess } from '../../src/execution/process/run-process';
import { GitCheckoutBench } from '../e2e/execution/git-checkout-bench';
import { GitHttpServer } from '../support/git-http-server';
import { GitRepository } from '../support/git-repository';

describe('a repository at a private address', () => {
  let canary: Server;
  let hits = 0;
  let port: number;
  let bench: GitCheckoutBench;

  beforeAll(async () => {
    canary = createServer((_, response) => {
      hits += 1;
      response.end();
    });
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
    port = (canary.address() as AddressInfo).port;
    bench = new GitCheckoutBench(runProcess, { allowedPrivateHosts: [], allowedProtocols: ['http', 'ssh', 'git'] });
  });

  afterAll(() => {
    bench.remove();
    canary.close();
  });

  it.each([
    'http://127.0.0.1:PORT/a.git',
    'http://localhost:PORT/a.git',
    'http://0x7f.1:PORT/a.git',
    'http://[::1]:PORT/a.git',
    'http://[::ffff:127.0.0.1]:PORT/a.git',
    'http://user@10.0.0.1:PORT/a.git',
    'http://169.254.169.254/latest/meta-data',
    'ssh://git@127.0.0.1:PORT/a.git',
    'git@127.0.0.1:a.git',
    'git://127.0.0.1:PORT/a.git',
  ])('is refused before anything is sent: %s', async (url) => {
    await expect(bench.checkout(url.replace('PORT', String(port)), {})).rejects.toThrow('has a private address');
    expect({ commands: bench.commands, hits }).toEqual({ commands: [], hits: 0 });
  });

  it('is told with what the operator can write to allow it', async () => {
    const url = `http://127.0.0.1:${port}/a.git`;
    await expect(bench.checkout(url, {})).rejects.toThrow(`BUILD_EGRESS_ALLOW=127.0.0.1:${port}`);
  });
});

describe('a server whose name was resolved', () => {
  it('is asked at that address, whatever the name resolves to', async () => {
    const repository = new GitRepository();
    const server = await GitHttpServer.start(repository);
    const bench = new GitCheckoutBench(runProcess);
    try {
      repository.commit({ a: '1' });
      const { port, pathname } = new URL(server.url);
      // A name under .invalid resolves to nothing (RFC 6761).
      const url = `http://rebound.invalid:${port}${pathname}`;
      const pinned = { host: 'rebound.invalid', port: Number(port), address: '127.0.0.1' };
      const remote = { url, credential: null, shownUrl: url, protocol: 'http', path: null, server: pinned };
      const output = { line: () => undefined, stepsTotal: () => undefined, stepsDone: () => undefined };
      const launch: typeof runProcess = (command, options) =>
        runProcess(command, { ...options, env: { PATH: process.env.PATH ?? '', ...options.env } });
      const git = new GitCommand(launch, bench.dir, remote, output, new AbortController().signal);
      const refs: string[] = [];
      await git.run(['ls-remote', '--', url], bench.dir, (line) => refs.push(line));
      expect(refs.join('\n')).toContain('refs/heads/main');
    } finally {
      bench.remove();
      await server.stop();
      repository.remove();
    }
  });
});
