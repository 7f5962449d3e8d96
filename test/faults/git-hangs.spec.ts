import type { LogEntry } from '../../src/build-logs/log-entry';
import { BuildRepository } from '../support/build-repository';
import { processesWith } from '../support/engine/processes';
import { GitHttpServer } from '../support/git-http-server';
import { Service } from '../support/service';
import { StallingProxy } from '../support/stalling-proxy';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

/** A server that is silent for a fifth of it is asked again. */
const checkoutLimit = 15;
/** More than the answers about refs, and less than the pack. */
const beginningOfPack = 100_000;

const repository = new BuildRepository();
let git: GitHttpServer;
/** Through which the service reaches the server. */
let proxy: StallingProxy;
let service: Service;
let tenant: Tenant;
let url: string;

beforeAll(async () => {
  repository.script('main', 'RUN echo built');
  git = await GitHttpServer.start(repository.git);
  proxy = await StallingProxy.start(Number(new URL(git.url).port));
  url = git.url.replace(new URL(git.url).host, proxy.host);
  const settings = {
    GIT_ALLOWED_PROTOCOLS: 'http',
    BUILD_EGRESS_ALLOW: proxy.host,
    CHECKOUT_TIMEOUT_SECONDS: String(checkoutLimit),
  };
  service = await Service.startOnServer({ settings });
  tenant = await Tenant.make(service);
});

afterAll(async () => {
  await service.stop();
  await proxy.stop();
  await git.stop();
  repository.remove();
});

/** The lines that announce a further try. */
const triesIn = (log: readonly LogEntry[]): string[] =>
  log
    .filter(({ level, metadata }) => level === 'WARN' && metadata?.step === 'checkout')
    .map(({ message }) => message)
    .filter((message) => message.includes('follows in'));

describe('a git server that stops in the midst of a pack', () => {
  it('is asked again, and the build succeeds when it answers then', async () => {
    proxy.passes = beginningOfPack;
    const build = await tenant.begin(await tenant.project({ repository_url: url }), { branch: 'main' });
    await tenant.line(build.id, 'try 2 of 3 follows in 2 s');
    proxy.passes = Number.POSITIVE_INFINITY;
    expect(await tenant.end(build.id)).toMatchObject({ status: 'success', error_message: null });
    expect(triesIn(await tenant.log(build.id))).toHaveLength(1);
  });

  it('fails the build at the limit of the checkout, after a further try that the log tells', async () => {
    proxy.passes = beginningOfPack;
    const earlier = proxy.connections;
    const build = await tenant.run(await tenant.project({ repository_url: url }), { branch: 'main' });
    const message = `The checkout took longer than its limit of ${checkoutLimit} seconds (CHECKOUT_TIMEOUT_SECONDS)`;
    expect(build).toMatchObject({ status: 'failed', error_message: message, git_commit: null });
    const tries = triesIn(await tenant.log(build.id));
    expect(tries[0]).toMatch(/^Network trouble: .*; try 2 of 3 follows in 2 s$/);
    expect(proxy.connections - earlier).toBeGreaterThan(1);
    expect(processesWith(proxy.host)).toEqual([]);
  });

  it('keeps nobody from building but the slot that waits for it', async () => {
    proxy.passes = 0;
    const hanging = await tenant.begin(await tenant.project({ repository_url: url }), { branch: 'main' });
    await waitUntil(() => processesWith(proxy.host).length > 0);
    proxy.passes = Number.POSITIVE_INFINITY;
    const other = await tenant.run(await tenant.project({ repository_url: url }), { branch: 'main' });
    expect(other).toMatchObject({ status: 'success', error_message: null });
    expect(await tenant.end(hanging.id)).toMatchObject({ status: 'success', error_message: null });
  });
});
