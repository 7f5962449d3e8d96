import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../free-port';
import { waitUntil } from '../wait-until';

const user = 'operator';

/** What must never be seen by a build. */
export const password = 'correct-horse-battery';

/** A real registry on a free port of the loopback, with basic authentication. */
export class Registry {
  private constructor(
    public readonly host: string,
    private readonly directory: string,
    private readonly config: string,
    private child: ChildProcess,
  ) {}

  public static async start(): Promise<Registry> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-registry-'));
    const host = `127.0.0.1:${await freePort()}`;
    const config = path.join(directory, 'config.yml');
    const passwords = path.join(directory, 'htpasswd');
    await writeFile(passwords, execFileSync('htpasswd', ['-niBC', '4', user], { input: password }));
    await writeFile(
      config,
      `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${directory}/images } }
http: { addr: "${host}" }
auth: { htpasswd: { realm: test, path: ${passwords} } }
`,
    );
    return new Registry(host, directory, config, await serve(config, host));
  }

  /** The operator's credentials file for it. */
  public async writeAuthFile(secret = password): Promise<string> {
    const file = path.join(this.directory, `auth-${secret.length}.json`);
    await writeFile(file, JSON.stringify({ auths: { [this.host]: { auth: this.basic(secret) } } }), { mode: 0o600 });
    return file;
  }

  /** The digest that the registry itself has for a tag; null when it has none. */
  public async digestOf(repository: string, tag: string): Promise<string | null> {
    const response = await fetch(`http://${this.host}/v2/${repository}/manifests/${tag}`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json', authorization: `Basic ${this.basic()}` },
    });
    return response.ok ? response.headers.get('docker-content-digest') : null;
  }

  public basic(secret = password): string {
    return Buffer.from(`${user}:${secret}`).toString('base64');
  }

  /** Its images stay. */
  public async kill(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  /** Starts it again at the same address, after `kill`. */
  public async restart(): Promise<void> {
    this.child = await serve(this.config, this.host);
  }

  /** From now on it takes connections and never answers, until `thaw`. */
  public freeze(): void {
    this.child.kill('SIGSTOP');
  }

  public thaw(): void {
    this.child.kill('SIGCONT');
  }

  public async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    await rm(this.directory, { recursive: true });
  }
}

async function serve(config: string, host: string): Promise<ChildProcess> {
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  await waitUntil(async () => (await fetch(`http://${host}/v2/`)).status === 401);
  return child;
}
