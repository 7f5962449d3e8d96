import type { ErrorBody } from '../../src/http/error-body';

/** An answer with its body, which is read to its end. */
export class Answer<Body = unknown> {
  public constructor(
    public readonly status: number,
    public readonly headers: Headers,
    public readonly text: string,
  ) {}

  /** The body of a success. */
  public get body(): Body {
    return JSON.parse(this.text) as Body;
  }

  /** The same body of a refusal. */
  public get error(): ErrorBody {
    return JSON.parse(this.text) as ErrorBody;
  }

  /** Its body when the status is the expected one. @throws Error that shows the answer otherwise */
  public expect(status: number): Body {
    if (this.status !== status) throw new Error(`Expected ${status}, but got ${this.status}: ${this.text}`);
    return this.text === '' ? (undefined as Body) : this.body;
  }
}

type Headings = Readonly<Record<string, string>>;

/** A client of the API under `/api/v1`, with one token or none. */
export class Caller {
  public constructor(
    private readonly url: string,
    public readonly token: string | null,
  ) {}

  public get<Body>(path: string, headers: Headings = {}): Promise<Answer<Body>> {
    return this.send('GET', path, undefined, headers);
  }

  public post<Body>(path: string, body?: unknown, headers: Headings = {}): Promise<Answer<Body>> {
    return this.send('POST', path, body, headers);
  }

  public patch<Body>(path: string, body?: unknown, headers: Headings = {}): Promise<Answer<Body>> {
    return this.send('PATCH', path, body, headers);
  }

  public delete<Body>(path: string, headers: Headings = {}): Promise<Answer<Body>> {
    return this.send('DELETE', path, undefined, headers);
  }

  /** Text is sent as it is, everything else as JSON. */
  public async send<Body>(method: string, path: string, body?: unknown, headers: Headings = {}): Promise<Answer<Body>> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(this.token === null ? {} : { Authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    return new Answer(response.status, response.headers, await response.text());
  }
}
