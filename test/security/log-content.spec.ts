import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LogEntry } from '../../src/build-logs/log-entry';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { LogMessage } from '../e2e/build-logs/log-client';
import { BuildRepository, shell } from '../support/build-repository';
import { GitHttpServer } from '../support/git-http-server';
import { Service } from '../support/service';
import { Tenant } from '../support/tenant';

// What a RUN prints is looked at in test/e2e/builds/hostile-output.spec.ts; this is about all other ways into a log.

const mostBytes = 16 * 1_024;
/** Of every kind that an encoding changes. */
const password = `pw/"${randomBytes(6).toString('hex')}"\\+ ok?`;
const shortest = randomBytes(4).toString('hex');
const tooShort = randomBytes(4).toString('hex').slice(1);
/** What a terminal obeys, a NUL, an override of the order of text, and a second line. */
const hostile = 'x\u001b]52;c;ZXZpbA==\u0007\u0000\u009b2J\u202ey\u2028';

let directory: string;
let repository: BuildRepository;
let git: GitHttpServer;
let service: Service;
let tenant: Tenant;
let project: ProjectDto;

/** Makes a terminal obey, breaks a line, or shows it in another order. */
function harm({ message }: Pick<LogEntry, 'message'>): boolean {
  // eslint-disable-next-line no-control-regex
  return /[^\P{Cc}\t]|[\u202a-\u202e\u2066-\u2069\u2028\u2029]/u.test(message.replace(/\u001b\[[\d;]*m/g, ''));
}

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'image-factory-auth-'));
  const authFile = path.join(directory, 'auth.json');
  const auth = Buffer.from(`robot:${password}`).toString('base64');
  await writeFile(authFile, JSON.stringify({ auths: { 'registry.example': { auth } } }), { mode: 0o600 });
  repository = new BuildRepository();
  git = await GitHttpServer.start(repository.git, {
    intercept: (request, response) => {
      if (request.url?.includes('/odd.git') !== true) return false;
      // Git takes the oldest control characters out by itself.
      const line = 'ERR x\u009b2J\u202ey error: fake';
      const packet = `${(Buffer.byteLength(line) + 4).toString(16).padStart(4, '0')}${line}`;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
      response.end(`001e# service=git-upload-pack\n0000${packet}`);
      return true;
    },
  });
  service = await Service.startOnServer({
    settings: {
      ...repository.settings,
      REGISTRY_AUTH_FILE: authFile,
      SECRETS_KEY: randomBytes(32).toString('hex'),
      GIT_ALLOWED_PROTOCOLS: 'http',
      BUILD_EGRESS_ALLOW: new URL(git.origin).host,
    },
  });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: repository.git.url });
});

afterAll(async () => {
  await service.stop();
  await git.stop();
  repository.remove();
  await rm(directory, { recursive: true });
});

/** A build that must fail in words that harm nobody, and its whole log. */
async function failed(build: BuildDto): Promise<{ readonly message: string; readonly log: LogEntry[] }> {
  const log = await tenant.log(build.id);
  const message = build.error_message ?? '';
  expect(build).toMatchObject({ status: 'failed' });
  expect([{ message }, ...log].filter(harm)).toEqual([]);
  expect(log.at(-1)).toMatchObject({ level: 'ERROR', message: `Build failed: ${message}` });
  expect(Math.max(...log.map((entry) => Buffer.byteLength(entry.message)))).toBeLessThanOrEqual(mostBytes);
  return { message, log };
}

describe('what is quoted of a repository', () => {
  it('harms nobody: an instruction with control characters, which the database would refuse as well', async () => {
    repository.branch('instruction', { Dockerfile: `FROM scratch\n${hostile} z\n` });
    const { message } = await failed(await tenant.run(project, { branch: 'instruction' }));
    expect(message).toBe('Dockerfile "Dockerfile": line 2: unknown instruction "xy".');
  });

  it('is cut: an instruction of many kilobytes', async () => {
    repository.branch('long', { Dockerfile: `FROM scratch\n${'x'.repeat(200_000)} z\n` });
    const { message } = await failed(await tenant.run(project, { branch: 'long' }));
    expect(message).toMatch(/^Dockerfile "Dockerfile": line 2: unknown instruction "x{4000}/);
    expect(message.length).toBeLessThanOrEqual(4_096);
  });

  it('harms nobody: what the server of a repository says, and the name of a branch', async () => {
    const odd = await tenant.project({ repository_url: `${git.origin}/odd.git` });
    const { log } = await failed(await tenant.run(odd, { branch: 'main' }));
    expect(log.map(({ message }) => message).join('\n')).toMatch(/remote error: xy error: fake/);
    const branch = 'a\u009b2J\u202eb';
    const absent = await failed(await tenant.run(project, { branch }));
    expect(absent.message).toMatch(/^Branch or tag "ab" does not exist/);
  });

  it('harms nobody: the reason of a cancellation', async () => {
    repository.script('wait', 'RUN sleep 600');
    const build = await tenant.begin(project, { branch: 'wait' });
    await tenant.line(build.id, 'RUN sleep');
    await tenant.cancel(build.id, `${hostile.replaceAll('\u0000', '')}\nERROR: fake`);
    const log = await tenant.log(build.id);
    expect(log.filter(harm)).toEqual([]);
    expect(log.map(({ message }) => message)).toContain('Cancelled by request: x ]52;c;ZXZpbA== 2J y ERROR: fake');
  });
});

describe('what a step prints', () => {
  const base64 = ['', 'u', 'us'].flatMap((before) =>
    (['base64', 'base64url'] as const).map((encoding) => Buffer.from(`${before}${password}`).toString(encoding)),
  );
  const forms = [
    password,
    JSON.stringify({ password }),
    encodeURIComponent(password),
    encodeURIComponent(password).toLowerCase(),
    `user:${password}@host`,
    Buffer.from(`robot:${password}`).toString('base64'),
    ...base64,
    `Basic ${shortest}`,
  ];
  const half = password.length / 2;
  const megabytes = 10;
  const script = [
    'cat /forms',
    `printf %s '${password.slice(0, half)}'; sleep 1; printf '%s\\n' '${password.slice(half)}'`,
    `echo 'short ${tooShort}'`,
    // The engine's own messages are quoted; one of a step must not get out of its quotes.
    String.raw`printf '%s\n' 'time="now" level=error msg="a\u001b]52;c;eA==\u0007\u0000\u009b2Jb\nc\u202e"'`,
    `head -c ${megabytes * 1_048_576} /dev/zero | tr '\\0' x; echo; echo last`,
  ];
  let stored: LogEntry[];
  let streamed: readonly LogMessage[];
  let text: string;

  beforeAll(async () => {
    const Dockerfile = `${shell}COPY forms print.sh /\nRUN sh /print.sh\n`;
    repository.branch('print', { Dockerfile, forms: `${forms.join('\n')}\n`, 'print.sh': `${script.join('\n')}\n` });
    for (const [name, value] of Object.entries({ SHORTEST: shortest, SHORT: tooShort })) {
      const answer = await tenant.caller.send('PUT', `/projects/${project.id}/secrets/${name}`, { value });
      answer.expect(204);
    }
    const build = await tenant.create(project, { branch: 'print' });
    const client = await tenant.follow(build.id);
    await tenant.start(build.id);
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    streamed = client.messages;
    stored = await tenant.log(build.id);
    text = stored.map(({ message }) => message).join('\n');
  });

  it('is streamed as it is stored', () => {
    const [first] = streamed;
    expect(streamed).toEqual(stored.map((entry) => ({ build_id: first?.build_id, ...entry })));
  });

  it("hides the registry's password in every form, at every alignment, and in two writes", () => {
    const lines = stored.map(({ message }) => message);
    const from = lines.findIndex((line) => line === '***');
    expect(lines.slice(from, from + 6)).toEqual([
      '***',
      '{"password":"***"}',
      '***',
      '***',
      'user:***@host',
      expect.stringMatching(/^(?:\*\*\*|cm9ib3Q6\*\*\*=*)$/),
    ]);
    for (const line of lines.slice(from + 6, from + 12)) expect(line).toMatch(/^.{0,3}\*\*\*.?=*$/);
    expect(lines.slice(from + 12, from + 14)).toEqual(['Basic ***', '***']);
    for (const form of [password, ...base64.map((each) => each.slice(4, -4))]) expect(text).not.toContain(form);
    for (const part of [password.slice(0, half), password.slice(half)]) expect(text).not.toContain(part);
  });

  it('hides secrets of eight characters, and none that is shorter', () => {
    expect(text).not.toContain(shortest);
    expect(text).toContain(`short ${tooShort}`);
  });

  it('cannot get anything harmful through the quotes of an engine message', () => {
    expect(stored.filter(harm)).toEqual([]);
    expect(stored.filter(({ level }) => level === 'ERROR').map(({ message }) => message)).toEqual(['ab c']);
  });

  it(`is cut into lines of at most 16 KiB, a line of ${megabytes} MB as well`, () => {
    expect(Math.max(...stored.map(({ message }) => Buffer.byteLength(message)))).toBeLessThanOrEqual(mostBytes);
    const pieces = stored.filter(({ message }) => /^x+$/.test(message));
    expect(pieces.reduce((sum, { message }) => sum + message.length, 0)).toBe(megabytes * 1_048_576);
    expect(stored.map(({ message }) => message)).toContain('last');
  });
});
