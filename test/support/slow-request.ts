import { once } from 'node:events';
import http from 'node:http';
import { Answer } from './caller';

/** A request whose body comes in two parts, as over a slow line, or whose answer is read slowly. */
export class SlowRequest {
  private readonly response: Promise<http.IncomingMessage>;

  private constructor(
    private readonly request: http.ClientRequest,
    private readonly rest: string,
  ) {
    this.response = once(request, 'response').then(([response]) => response as http.IncomingMessage);
    // Who waits for the answer learns of a broken connection then.
    this.response.catch(() => undefined);
  }

  /** Sends the head and the first half of the body, and resolves when the server has them. */
  public static async post(url: string, token: string | null, body: unknown): Promise<SlowRequest> {
    const text = JSON.stringify(body);
    const half = Math.floor(text.length / 2);
    const request = http.request(url, {
      method: 'POST',
      agent: new http.Agent({ keepAlive: true }),
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': String(Buffer.byteLength(text)),
        Expect: '100-continue',
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      },
    });
    const slow = new SlowRequest(request, text.slice(half));
    request.flushHeaders();
    await once(request, 'continue');
    request.write(text.slice(0, half));
    return slow;
  }

  /** Asks for something and takes no more of the answer than its head and what fits on the way. */
  public static async get(url: string, token: string | null): Promise<SlowRequest> {
    const request = http.request(url, {
      agent: new http.Agent({ keepAlive: true }),
      headers: token === null ? {} : { Authorization: `Bearer ${token}` },
    });
    const slow = new SlowRequest(request, '');
    request.end();
    await slow.response;
    return slow;
  }

  /** Sends what is missing, and reads the answer to its end. @throws Error when the connection breaks */
  public async finish(): Promise<Answer> {
    if (!this.request.writableEnded) this.request.end(this.rest);
    const response = await this.response;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const pairs = Object.entries(response.headers).map(([name, value]): [string, string] => [name, String(value)]);
    return new Answer(response.statusCode ?? 0, new Headers(pairs), Buffer.concat(chunks).toString('latin1'));
  }

  /** Waits for an answer or for the break of the connection; true for an answer. */
  public isAnswered(): Promise<boolean> {
    return this.response.then(
      () => true,
      () => false,
    );
  }
}
