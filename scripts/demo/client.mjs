// A small client of the public REST API.

export class Client {
  #token;
  #credentials;

  /** @param origin such as `http://127.0.0.1:8080`. */
  constructor(origin) {
    this.origin = origin;
  }

  /** Signs in; later calls carry the token. */
  async signIn(credentials) {
    this.#credentials = credentials;
    this.#token = undefined;
    this.#token = (await this.post('/auth/login', credentials)).access_token;
  }

  /** The header for doors that are not called through here. */
  get authorization() {
    return { Authorization: `Bearer ${this.#token}` };
  }

  get(path) {
    return this.#call('GET', path);
  }

  post(path, body) {
    return this.#call('POST', path, body);
  }

  patch(path, body) {
    return this.#call('PATCH', path, body);
  }

  /** The body of a download. */
  async download(path) {
    const response = await this.#fetch('GET', path);
    return response.body;
  }

  async #call(method, path, body) {
    const response = await this.#fetch(method, path, body);
    return response.status === 204 ? undefined : await response.json();
  }

  async #fetch(method, path, body) {
    const send = () =>
      fetch(`${this.origin}/api/v1${path}`, {
        method,
        headers: {
          ...(this.#token === undefined ? {} : this.authorization),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
      });
    let response = await send();
    if (response.status === 401 && this.#token !== undefined) {
      await this.signIn(this.#credentials);
      response = await send();
    }
    if (response.ok) return response;
    const answer = await response.json().catch(() => undefined);
    throw new Error(`${method} ${path} answered ${response.status}: ${answer?.error ?? 'without a reason'}.`);
  }
}
