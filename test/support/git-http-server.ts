import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { GitRepository } from './git-repository';

/** Answers a request in place of git; false: git shall answer. */
export type Interception = (request: http.IncomingMessage, response: http.ServerResponse) => boolean;

export interface GitHttpServerOptions {
  /** Version 2 of the protocol gives any object that is asked for by name, version 0 only what refs point to. */
  readonly protocolVersion?: 0 | 2;
  readonly intercept?: Interception;
}

/** Serves a repository on loopback by git's own CGI program. */
export class GitHttpServer {
  /** Method and URL of each request, in order. */
  public readonly requests: string[] = [];
  private readonly running = new Set<ChildProcess>();
  private readonly server: http.Server;

  private constructor(
    private readonly repository: GitRepository,
    private readonly options: GitHttpServerOptions,
  ) {
    this.server = http.createServer((request, response) => {
      this.requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
      if (options.intercept?.(request, response) !== true) this.answer(request, response);
    });
  }

  public static async start(repository: GitRepository, options: GitHttpServerOptions = {}): Promise<GitHttpServer> {
    const git = new GitHttpServer(repository, options);
    await new Promise<void>((resolve) => git.server.listen(0, '127.0.0.1', resolve));
    return git;
  }

  public get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public get url(): string {
    return `${this.origin}/${path.basename(this.repository.directory)}`;
  }

  public async stop(): Promise<void> {
    for (const child of this.running) child.kill('SIGKILL');
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.origin);
    const header = (name: string): string => request.headers[name]?.toString() ?? '';
    const child = spawn(path.join(execPath(), 'git-http-backend'), [], {
      env: {
        PATH: process.env.PATH,
        HOME: '/nonexistent',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_PROJECT_ROOT: this.repository.root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROTOCOL: this.options.protocolVersion === 0 ? '' : header('git-protocol'),
        REQUEST_METHOD: request.method,
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: searchParams.toString(),
        CONTENT_TYPE: header('content-type'),
        HTTP_CONTENT_ENCODING: header('content-encoding'),
        REMOTE_ADDR: '127.0.0.1',
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    child.stdin.on('error', () => undefined);
    request.pipe(child.stdin);
    let head = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      if (response.headersSent) {
        response.write(chunk);
        return;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      sendHead(response, head.subarray(0, end).toString());
      response.write(head.subarray(end + 4));
    });
    child.stdout.on('end', () => response.end());
  }
}

/** The head of a CGI answer: header lines, of which `Status` is the status. */
function sendHead(response: http.ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const [name = '', value = ''] = line.split(/:\s*/, 2);
    if (name === 'Status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
  response.flushHeaders();
}

function execPath(): string {
  return execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim();
}
