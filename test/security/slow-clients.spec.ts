import { readdirSync, readlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import net from 'node:net';
import { promisify } from 'node:util';
import { Api } from '../support/api';
import { Service } from '../support/service';
import { waitUntil } from '../support/wait-until';

const json =
  'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
const upgrade = 'GET /api/v1/builds/x/logs/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websoc';

const usualTimes = { headersTimeout: 15_000, requestTimeout: 60_000 };
/** The same clocks, faster. */
const shortTimes = { headersTimeout: 500, requestTimeout: 1_000 };

/** A client that says a little and waits. It never hangs up by itself. */
class SlowClient {
  public answer = '';
  public isEnded = false;
  private readonly trickle: NodeJS.Timeout | undefined;

  public constructor(
    private readonly socket: net.Socket,
    said: string,
    /** What it goes on to say, a byte every 100 ms. */
    more = '',
  ) {
    socket.on('data', (chunk: Buffer) => (this.answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    for (const event of ['end', 'close']) socket.once(event, () => (this.isEnded = true));
    socket.write(said);
    if (more !== '') this.trickle = setInterval(() => socket.writable && socket.write(more), 100);
  }

  public static on(port: number, said: string, more = ''): SlowClient {
    return new SlowClient(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }), said, more);
  }

  public get status(): number {
    return Number(this.answer.split(' ')[1]);
  }

  public destroy(): void {
    clearInterval(this.trickle);
    this.socket.destroy();
  }
}

describe('a request that takes too long to come', () => {
  let api: Api;
  const clients: SlowClient[] = [];

  beforeAll(async () => {
    api = await Api.start();
    const server: Server = api.app.getHttpServer();
    expect(server).toMatchObject(usualTimes);
    Object.assign(server, shortTimes);
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  afterAll(async () => {
    await api.stop();
  });

  const connections = (): Promise<number> => {
    const server: Server = api.app.getHttpServer();
    return promisify(server.getConnections.bind(server))();
  };

  it('is answered 408 and its connection is cut, however little or slowly the client says it', async () => {
    const slow = [
      ['nothing at all', '', ''],
      ['half a head', 'GET /health/live HTTP/1.1\r\nHost: x\r\n', ''],
      ['a head without end', 'GET /health/live HTTP/1.1\r\nHost: x\r\nX: ', 'x'],
      ['half an upgrade', upgrade, ''],
      ['half a body', json, ''],
      ['a body byte by byte', json, ' '],
    ].map(([what = '', said = '', more = '']) => ({ what, more, client: SlowClient.on(api.port, said, more) }));
    clients.push(...slow.map(({ client }) => client));
    await waitUntil(() => slow.every(({ client }) => client.isEnded));
    for (const { what, more, client } of slow) {
      if (client.answer !== '') expect([what, client.status]).toEqual([what, 408]);
      if (more === '') expect(client.answer).toContain('"The request took too long to arrive"');
    }
    // They do not hang up, and still nothing is left of them.
    await waitUntil(async () => (await connections()) === 0);
  });

  it('and so is that of a client that never closes after a refusal, in its own time', async () => {
    const server: Server = api.app.getHttpServer();
    Object.assign(server, usualTimes);
    const refused = SlowClient.on(api.port, 'GARBAGE\r\n\r\n');
    clients.push(refused);
    await waitUntil(() => refused.isEnded);
    const endedAt = performance.now();
    expect(refused.status).toBe(400);
    await waitUntil(async () => (await connections()) === 0);
    // Before it could be for its slowness.
    expect(performance.now() - endedAt).toBeLessThan(usualTimes.headersTimeout - 3_000);
    Object.assign(server, shortTimes);
  });

  it('and a connection on which nothing more is asked is closed soon', async () => {
    const idle = SlowClient.on(api.port, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    clients.push(idle);
    await waitUntil(() => idle.isEnded);
    expect(idle.status).toBe(200);
    await waitUntil(async () => (await connections()) === 0);
  });
});

describe('a real process', () => {
  const crowd: SlowClient[] = [];
  let service: Service;

  beforeAll(async () => {
    service = await Service.startOnServer({ settings: { ROLES: 'api' } });
  }, 120_000);

  afterAll(async () => {
    for (const client of crowd) client.destroy();
    await service.stop();
  }, 60_000);

  const sockets = (): number =>
    readdirSync(`/proc/${service.pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${service.pid}/fd/${fd}`).startsWith('socket:');
      } catch {
        // It was closed meanwhile.
        return false;
      }
    }).length;

  it('lets 2,000 clients that say little keep nobody else from an answer, and ends them after the time for a head', async () => {
    const port = Number(new URL(service.url).port);
    const before = sockets();
    for (let number = 0; number < 2_000; number += 1) {
      crowd.push(SlowClient.on(port, ['', 'GET / HTTP/1.1\r\nX: ', upgrade][number % 3] ?? ''));
    }
    await waitUntil(() => sockets() >= before + 2_000);
    const startedAt = performance.now();
    expect((await fetch(`${service.url}/health/ready`)).status).toBe(200);
    expect((await service.signIn()).token).not.toBeNull();
    // Far beyond what either takes; a service that waits for the crowd takes longer.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await waitUntil(() => crowd.every(({ isEnded }) => isEnded), 60_000);
    expect(new Set(crowd.map(({ status }) => status))).toEqual(new Set([408]));
    await waitUntil(() => sockets() <= before + 20, 60_000);
    expect((await fetch(`${service.url}/health/ready`)).status).toBe(200);
  }, 150_000);
});
