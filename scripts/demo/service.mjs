// The service as a child of the demo.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../terminal.mjs';

const readyMs = 60_000;
const stopMs = 60_000;
const lastLines = 20;

export class Service {
  #child;
  #logFile;
  #origin;

  /** Settles with one sentence when the process has ended. */
  ended;

  /**
   * Starts the service. Its own log goes to a file, so that the terminal shows the build.
   * @param settings environment variables on top of this process's.
   */
  constructor(settings, origin, logFile) {
    this.#origin = origin;
    this.#logFile = logFile;
    const log = openSync(logFile, 'w', 0o600);
    // A process group of its own: Ctrl-C reaches the demo alone, which then stops the service. The channel tells the
    // service when the demo is gone, even by a kill -9.
    this.#child = spawn(process.execPath, [path.join(root, 'scripts', 'start.mjs')], {
      cwd: root,
      env: { ...process.env, ...settings },
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    });
    this.#child.channel.unref();
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal === null ? `exit status ${code}` : `signal ${signal}`));
    }).finally(() => closeSync(log));
  }

  /** Waits until the service can work. @throws Error with what it lacks, or its last word when it ended instead. */
  async ready() {
    const deadline = Date.now() + readyMs;
    let how;
    void this.ended.then((reason) => {
      how = reason;
    });
    for (;;) {
      if (how !== undefined) throw new Error(`The service did not start: ${this.lastWord() || how}`);
      const lack = await this.#lack();
      if (lack === undefined) return;
      if (Date.now() > deadline) throw new Error(`The service was not ready within ${readyMs / 1000} s: ${lack}`);
      await sleep(100);
    }
  }

  /** Ends the service in order; forcibly when it takes too long. */
  async stop() {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopMs);
    await this.ended;
    clearTimeout(timer);
  }

  /**
   * What the service said last: a plain line, which is how it tells why it cannot start, before the message of a record,
   * which may have been written later.
   */
  lastWord() {
    const lines = readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lastLines);
    const plain = lines.findLast((line) => line !== '' && !line.startsWith('{'));
    return plain ?? /"msg":"((?:[^"\\]|\\.)*)"/.exec(lines.at(-1) ?? '')?.[1] ?? '';
  }

  /** What the service still lacks, in words; undefined when it is ready. */
  async #lack() {
    try {
      const response = await fetch(`${this.#origin}/health/ready`, { signal: AbortSignal.timeout(5_000) });
      const answer = await response.json();
      return response.ok ? undefined : `${answer.error} ${JSON.stringify(answer.details)}`;
    } catch {
      return this.lastWord() || 'it does not answer';
    }
  }
}

/**
 * The port to serve on: the wanted one, or a free one where it is taken and nobody asked for it.
 * @throws Error when a port that was asked for is taken or none.
 */
export async function choosePort(host, asked) {
  const wanted = Number(asked || 8080);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535) throw new Error(`PORT is no port number: ${asked}`);
  const port = await listenOnce(host, wanted);
  if (port !== undefined) return port;
  if (asked) throw new Error(`Port ${wanted} of ${host} is taken: stop what listens there, or set PORT to another.`);
  return await listenOnce(host, 0);
}

function listenOnce(host, port) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(new Error(`Cannot listen on ${host}, port ${port}: ${error.message}`, { cause: error }));
    });
    server.listen(port, host, () => {
      const { port: bound } = server.address();
      server.close(() => resolve(bound));
    });
  });
}
