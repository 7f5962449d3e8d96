// npm run demo [-- --once]: sets everything up, starts the service, builds examples/hello and shows how.
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { ensureBuild } from './build.mjs';
import { Client } from './demo/client.mjs';
import { follow } from './demo/follow.mjs';
import { branch, ensureRepository } from './demo/repository.mjs';
import { choosePort, Service } from './demo/service.mjs';
import { dataDir, loadSettings } from './settings.mjs';
import { setUp } from './setup.mjs';
import { root, runProgram, say } from './terminal.mjs';

const projectName = 'hello';
const email = 'admin@demo.local';
const limitMs = 10 * 60_000;

const once = process.argv.slice(2).includes('--once');
const interrupted = new AbortController();

await runProgram(async () => {
  await setUp();
  await ensureBuild();
  process.chdir(root);
  loadSettings();
  await demonstrate(path.join(dataDir(), 'demo'));
});
// A request or a timer that is still under way must not keep a finished demo.
process.exit();

/** Everything of the demo is in this folder, apart from the data of `npm start`: remove it, and it never was. */
async function demonstrate(folder) {
  const repository = path.join(folder, projectName);
  await ensureRepository(repository);
  const credentials = { email, password: ensurePassword(path.join(folder, 'password')) };

  const host = process.env.HOST || '127.0.0.1';
  const port = await choosePort(host, process.env.PORT);
  const origin = `http://${reachable(host)}:${port}`;
  const settings = {
    HOST: host,
    PORT: String(port),
    ROLES: 'api,worker',
    DATA_DIR: path.join(folder, 'data'),
    ARTIFACT_DIR: '',
    DATABASE_URL: '',
    BOOTSTRAP_ADMIN_EMAIL: credentials.email,
    BOOTSTRAP_ADMIN_PASSWORD: credentials.password,
    GIT_ALLOWED_FILE_ROOT: repository,
  };
  const serviceLog = path.join(folder, 'service.log');

  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupted.abort(new Error('Interrupted.')));
  say(`Starting the service (its own log: ${path.relative(root, serviceLog)}) …`);
  const service = new Service(settings, origin, serviceLog);
  try {
    const client = new Client(origin);
    const build = await orAbandon(service, async (signal) => {
      await service.ready();
      await client.signIn(credentials);
      const project = await ensureProject(client, pathToFileURL(repository).href);
      const shown = await showBuild(client, project, signal);
      const archive = path.join(folder, `${projectName}.tar`);
      await pipeline(await client.download(`/builds/${shown.id}/image`), createWriteStream(archive));
      report(shown, path.relative(root, archive));
      return shown;
    });
    if (!once) {
      say();
      tellHowToGoOn(`${origin}/api/v1`, credentials, build);
      await serve(service);
    }
  } finally {
    await service.stop();
  }
}

/** Does the work, unless the service ends, a person interrupts or the time is over before. */
async function orAbandon(service, work) {
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(limitMs)]);
  const abandoned = new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () =>
      reject(
        interrupted.signal.aborted ? signal.reason : new Error(`The demo did not finish in ${limitMs / 60_000} min.`),
      ),
    );
    void service.ended.then((how) => reject(new Error(`The service ended (${how}): ${service.lastWord()}`)));
  });
  return await Promise.race([work(signal), abandoned]);
}

async function serve(service) {
  const stop = new Promise((resolve) => interrupted.signal.addEventListener('abort', () => resolve(undefined)));
  const how = await Promise.race([service.ended, stop]);
  if (how !== undefined) throw new Error(`The service ended (${how}): ${service.lastWord()}`);
  say('\nStopping …');
}

/** Registers the sample project, or finds the one of an earlier run. */
async function ensureProject(client, repositoryUrl) {
  const known = await findProject(client);
  if (known === undefined) {
    const project = { name: projectName, repository_url: repositoryUrl, default_branch: branch };
    return await client.post('/projects', project);
  }
  if (known.repository_url === repositoryUrl) return known;
  return await client.patch(`/projects/${known.id}`, { repository_url: repositoryUrl });
}

async function findProject(client) {
  for (let page = 1; ; page += 1) {
    const { projects, has_more: more } = await client.get(`/projects?page=${page}&limit=100`);
    const found = projects.find(({ name }) => name === projectName);
    if (found !== undefined || !more) return found;
  }
}

async function showBuild(client, project, signal) {
  // Another argument each time: an engine that has built the same before would repeat no step.
  const greeting = `Good day at ${new Date().toTimeString().slice(0, 8)}`;
  const created = await client.post('/builds', {
    project_id: project.id,
    git_branch: branch,
    build_args: { GREETING: greeting },
  });
  say(`Build #${created.build_number} of ${project.name}, with GREETING="${greeting}":\n`);
  await client.post(`/builds/${created.id}/start`);
  await follow(client, created.id, signal);
  const build = await client.get(`/builds/${created.id}`);
  if (build.status !== 'success') {
    throw new Error(`Build #${build.build_number} is ${build.status}: ${build.error_message}`);
  }
  return build;
}

function report(build, archive) {
  const seconds = (Date.parse(build.completed_at) - Date.parse(build.started_at)) / 1000;
  say(`\nBuild #${build.build_number}: ${build.status} in ${seconds.toFixed(1)} s`);
  say(`  Image digest   ${build.image_digest}`);
  say(`  Image archive  ${archive} (see: skopeo inspect "oci-archive:${archive}")`);
}

function tellHowToGoOn(api, { email: user, password }, build) {
  const body = JSON.stringify({ email: user, password });
  const token = `node -pe 'JSON.parse(fs.readFileSync(0)).access_token'`;
  say(`Swagger UI     ${api.replace(/\/v1$/, '/docs')}`);
  say(`Sign in with   ${user}   ${password}`);
  say('By curl:');
  say(`  TOKEN=$(curl -sS ${api}/auth/login -H 'Content-Type: application/json' -d '${body}' | ${token})`);
  say(`  curl -sS -H "Authorization: Bearer $TOKEN" ${api}/builds`);
  say(`  curl -sS -H "Authorization: Bearer $TOKEN" -o image.tar ${api}/builds/${build.id}/image`);
  say('\nThe service goes on. Ctrl-C stops it; its data stay for the next time.');
}

/** Made once and kept, so that a later run can sign in to the data of an earlier one. */
function ensurePassword(file) {
  mkdirSync(path.dirname(file), { recursive: true });
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  return readFileSync(file, 'utf8').trim();
}

/** The address under which a client on this machine reaches a listener. */
function reachable(host) {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
