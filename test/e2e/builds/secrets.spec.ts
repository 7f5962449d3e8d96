import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { BuildDto } from '../../../src/builds/build.dto';
import type { ProjectDto } from '../../../src/projects/project.dto';
import type { PutSecretDto } from '../../../src/secrets/secret.dto';
import { BuildRepository, shell } from '../../support/build-repository';
import { password as registryPassword, Registry } from '../../support/engine/registry';
import { GitHttpServer } from '../../support/git-http-server';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';

const mark = randomBytes(6).toString('hex');
const line = `the-second-line-${mark}`;
const token = `the-first-line-${mark}\n${line}\nthe-third-line-${mark}\n`;
const unnamed = `never-asked-for-${mark}`;
const gitPassword = `git-password-${mark}`;
const gitAuth = `Basic ${Buffer.from(`ci:${gitPassword}`).toString('base64')}`;
const everySecret = [mark, registryPassword, Buffer.from(gitPassword).toString('base64').slice(0, 24)];

const repository = new BuildRepository();
let registry: Registry;
let git: GitHttpServer;
let service: Service;
let tenant: Tenant;
/** Of this project: a secret that Dockerfiles name, one that none does, and a credential for git. */
let project: ProjectDto;

beforeAll(async () => {
  registry = await Registry.start();
  git = await GitHttpServer.start(repository.git, {
    intercept: (request, response) => {
      if (request.headers.authorization === gitAuth) return false;
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="private"' }).end();
      return true;
    },
  });
  service = await Service.startOnServer({
    settings: {
      ...repository.settings,
      SECRETS_KEY: randomBytes(32).toString('hex'),
      GIT_ALLOWED_PROTOCOLS: 'http',
      BUILD_EGRESS_ALLOW: `${new URL(git.origin).host},${registry.host}`,
      LOG_LEVEL: 'trace',
    },
  });
  tenant = await Tenant.make(service);
  project = await tenant.project({ repository_url: git.url });
  await put(project, 'TOKEN', { value: token });
  await put(project, 'UNNAMED', { value: unnamed });
  await put(project, 'git', { kind: 'git', username: 'ci', value: gitPassword });
});

afterAll(async () => {
  await service.stop();
  await registry.stop();
  await git.stop();
  repository.remove();
});

type Wish = Partial<PutSecretDto> & Pick<PutSecretDto, 'value'>;

async function put({ id }: Pick<ProjectDto, 'id'>, name: string, wish: Wish): Promise<void> {
  (await tenant.caller.send('PUT', `/projects/${id}/secrets/${name}`, wish)).expect(204);
}

const run = promisify(execFile);

/** Files below a directory that contain one of the texts. */
async function filesWith(texts: readonly string[], ...directories: readonly string[]): Promise<string[]> {
  const patterns = texts.flatMap((text) => ['-e', text]);
  const search = 'grep -rlaF "$@" 2>/dev/null || true';
  const { stdout } = await run('sh', ['-c', search, 'sh', ...patterns, ...directories]);
  return stdout.split('\n').filter((file) => file !== '');
}

/** What another user of this machine sees of all processes: their command lines, and an environment only of his own. */
async function seenByOthers(): Promise<string> {
  const isRoot = process.geteuid?.() === 0;
  const files = isRoot ? '/proc/[0-9]*/cmdline /proc/[0-9]*/environ' : '/proc/[0-9]*/cmdline';
  const look = ['sh', '-c', `cat ${files} 2>/dev/null | tr '\\0' '\\n' || true`];
  const as = isRoot ? ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '--'] : ['--'];
  return (await run('setpriv', [...as, ...look], { maxBuffer: 1 << 28 })).stdout;
}

describe('a build of a private repository with secret mounts', () => {
  let build: BuildDto;
  let lines: string[];

  beforeAll(async () => {
    const half = line.length - mark.length / 2;
    repository.branch('main', {
      Dockerfile: [
        shell,
        'RUN --mount=type=secret,id=TOKEN,required=true echo "sum $(sha256sum < /run/secrets/TOKEN)"',
        'RUN --mount=type=secret,id=TOKEN,target=/etc/token,mode=0440,uid=7,gid=8 stat -c "%u %g %a" /etc/token',
        'RUN --mount=type=secret,id=TOKEN ls /run/secrets; cat /run/secrets/TOKEN; base64 /run/secrets/TOKEN',
        'RUN --mount=type=secret,id=TOKEN (printf u; cat /run/secrets/TOKEN) | base64 -w 0; (printf us; cat /run/secrets/TOKEN) | base64 -w 0',
        `RUN printf 'split: ${line.slice(0, half)}'; sleep 1; echo '${line.slice(half)}'; sleep 1`,
        'RUN echo "left: $(find /run/secrets /dev/shm /tmp -type f -size +0 | wc -l)"; env | grep -c IMAGE_FACTORY || true',
        `RUN echo failing of ${line} >&2`,
      ].join('\n'),
    });
    build = await tenant.run(project, { branch: 'main' });
    lines = await tenant.lines(build.id);
  });

  it('has the right value in the steps that name it, as they ask for it', () => {
    expect(build).toMatchObject({ status: 'success', error_message: null });
    expect(lines).toContain(`sum ${createHash('sha256').update(token).digest('hex')}  -`);
    expect(lines).toContain('7 8 440');
    expect(lines).toContain('TOKEN');
    expect(lines).not.toContain('UNNAMED');
  });

  it('leaves nothing of it in other steps', () => {
    expect(lines).toContain('left: 0');
    expect(lines).toContain('0');
  });

  it('shows nothing of it in its log, printed, encoded or split over two writes', () => {
    const text = lines.join('\n');
    const printed = text.slice(text.indexOf('cat /run/secrets'));
    expect(printed.match(/\*\*\*/g)?.length).toBeGreaterThan(6);
    expect(lines).toContain('split: ');
    for (const secret of everySecret) expect(text).not.toContain(secret);
    for (const offset of [0, 1, 2]) {
      const encoded = Buffer.concat([Buffer.alloc(offset, 'us'), Buffer.from(token)]).toString('base64');
      for (let at = 4; at + 16 <= encoded.length - 4; at += 4) expect(text).not.toContain(encoded.slice(at, at + 16));
    }
  });

  it('leaves nothing of it in the image, its history included', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'image-factory-unpacked-'));
    try {
      const token = tenant.caller.token ?? '';
      const image = await fetch(`${service.url}/api/v1/builds/${build.id}/image`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      await writeFile(path.join(directory, 'image.tar'), Buffer.from(await image.arrayBuffer()));
      execFileSync('tar', ['-xf', 'image.tar'], { cwd: directory });
      const texts = execFileSync('sh', ['-c', 'for blob in blobs/*/*; do zcat -f "$blob"; done'], {
        cwd: directory,
        maxBuffer: 1 << 28,
      });
      expect(texts.includes('--mount=type=secret,id=TOKEN')).toBe(true);
      // Who writes a secret into the Dockerfile has it there: of these steps, only the values that were mounted count.
      expect(texts.includes(`the-first-line-${mark}`)).toBe(false);
      expect(texts.includes(unnamed)).toBe(false);
      expect(texts.includes(gitPassword)).toBe(false);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('leaves nothing of it on the disk', async () => {
    const secrets = [`the-first-line-${mark}`, unnamed, gitPassword, gitAuth, registryPassword];
    expect(await filesWith(secrets, service.dataDir, '/dev/shm')).toEqual([]);
    expect(await filesWith(['--mount=type=secret,id=TOKEN'], service.dataDir)).not.toEqual([]);
  });
});

it('while a step has a secret, it is on no disk and no other user sees it; nor is it after a cancel', async () => {
  repository.script('hold', 'RUN --mount=type=secret,id=TOKEN,mode=0444 echo $((40 + 2)) holds; sleep 600');
  const { id } = await tenant.begin(project, { branch: 'hold' });
  await tenant.line(id, '42 holds');
  const secrets = [`the-first-line-${mark}`, gitPassword, gitAuth];
  const onDisk = (): Promise<string[]> => filesWith(secrets, service.dataDir, '/dev/shm');
  expect(await onDisk()).toEqual([]);
  const seen = await seenByOthers();
  expect(seen).toContain('IMAGE_FACTORY_SECRET_0');
  for (const secret of secrets) expect(seen).not.toContain(secret);
  await tenant.cancel(id);
  await tenant.line(id, 'Build stopped');
  expect(await onDisk()).toEqual([]);
});

it('another project of the tenant gets none of it', async () => {
  const other = await tenant.project({ repository_url: git.url });
  const denied = await tenant.run(other, { branch: 'main' });
  expect(denied.error_message).toMatch(/^Access to .* was denied/);
  const local = await tenant.project({ repository_url: repository.git.url });
  const without = await tenant.run(local, { branch: 'main' });
  expect(without).toMatchObject({ status: 'failed' });
  expect(without.error_message).toContain('secret');
});

describe('a project with credentials for a registry', () => {
  it('pushes and pulls by them, in their scope alone, and no step sees them', async () => {
    const wishes = { repository_url: repository.git.url, image_repository: `${registry.host}/team/base` };
    const owner = await tenant.project(wishes);
    repository.script('base', 'RUN echo of the base > /base');
    const refused = await tenant.run(owner, { branch: 'base' });
    expect(refused.error_message).toContain('the registry refused access without credentials');

    const wish = { kind: 'registry', username: 'operator', registry: `${registry.host}/team` } as const;
    await put(owner, 'push', { ...wish, value: 'not-the-password' });
    const wrong = await tenant.run(owner, { branch: 'base' });
    expect(wrong.error_message).toContain('the registry refused the credentials');

    await put(owner, 'push', { ...wish, value: registryPassword });
    const base = await tenant.run(owner, { branch: 'base' });
    expect(base).toMatchObject({ status: 'success', error_message: null });

    // What looks for it does not contain it.
    const pattern = `[${registryPassword.slice(0, 1)}]${registryPassword.slice(1)}`;
    repository.branch('app', {
      Dockerfile: [
        `FROM ${base.image_reference ?? ''}`,
        'RUN cat /base',
        `RUN echo "files: $(find / -xdev -type f -exec grep -l '${pattern}' {} + | wc -l)"`,
        `RUN echo "processes: $(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '${pattern}')"`,
        'RUN echo "memory: $(find /dev/shm -type f | wc -l)"',
      ].join('\n'),
    });
    const app = await tenant.run(owner, { branch: 'app' });
    expect(app).toMatchObject({ status: 'success', error_message: null });
    expect(await tenant.lines(app.id)).toEqual(
      expect.arrayContaining(['of the base', 'files: 0', 'processes: 0', 'memory: 0']),
    );
  });
});

it('a secret that was moved to another project does not decrypt there: the build says so and fails', async () => {
  const other = await tenant.project({ repository_url: repository.git.url });
  await service.sql(
    `INSERT INTO project_secrets (project_id, tenant_id, name, kind, bytes, key_id, nonce, ciphertext)
     SELECT $2, tenant_id, name, kind, bytes, key_id, nonce, ciphertext FROM project_secrets
     WHERE project_id = $1 AND name = 'TOKEN'`,
    [project.id, other.id],
  );
  const build = await tenant.run(other, { branch: 'main' });
  expect(build).toMatchObject({
    status: 'failed',
    error_message:
      'The secret "TOKEN" of the project cannot be decrypted: it was changed in the database; store it again',
  });
});

it('no log of the service has a word of any of it, whatever was sent', async () => {
  const place = `/projects/${project.id}/secrets/BAD`;
  for (const body of [
    { value: [mark] },
    { value: mark, kind: mark },
    `{"value": "${mark}`,
    { value: mark, username: mark },
  ]) {
    const answer = await tenant.caller.send('PUT', place, body);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(mark);
  }
  expect(service.output.length).toBeGreaterThan(10);
  for (const secret of everySecret) expect(service.output.join('\n')).not.toContain(secret);
});
