import type { TokenPairDto } from '../../src/auth/auth.dto';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Caller } from '../support/caller';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { platformAdmin, Service } from '../support/service';
import { Tenant } from '../support/tenant';
import { clockAhead } from '../support/wrong-clock';

const minutesOff = 7;
/** The builds take longer than this. */
const leaseSeconds = 5;
const buildSeconds = 10;
const count = 50;

const repository = new BuildRepository();
let database: TestPostgres;
/** Its clock is right, and it runs no builds. */
let api: Service;
let ahead: Service;
let behind: Service;
let services: Service[];
let tenant: Tenant;
let project: ProjectDto;
let began: number;
/** One on each worker. */
let builds: BuildDto[];

beforeAll(async () => {
  const part = `echo line $i; sleep ${buildSeconds / count}`;
  repository.script('main', `RUN for i in $(seq 1 ${count}); do ${part}; done`);
  repository.script('endless', 'RUN echo begun; sleep 600');
  database = await startTestPostgres();
  const start = (settings: Record<string, string>): Promise<Service> =>
    Service.start({
      databaseUrl: database.url,
      settings: { ...repository.settings, LEASE_SECONDS: String(leaseSeconds), WORKER_SLOTS: '1', ...settings },
    });
  api = await start({ ROLES: 'api' });
  [ahead, behind] = await Promise.all([start(clockAhead(minutesOff)), start(clockAhead(-minutesOff))]);
  services = [api, ahead, behind];

  tenant = await Tenant.make(api);
  project = await tenant.project({ repository_url: repository.git.url });
  began = Date.now();
  const begun = await Promise.all([1, 2].map(() => tenant.begin(project, { branch: 'main' })));
  builds = await Promise.all(begun.map(({ id }) => tenant.end(id)));
}, 120_000);

afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await database.stop();
  repository.remove();
});

const ms = (time: string | null | undefined): number => Date.parse(time ?? '');

/** By how many minutes the lines of a build are off. */
async function minutesOffIn({ id, started_at }: BuildDto): Promise<number> {
  const log = await tenant.log(id);
  return Math.round((ms(log.at(-1)?.timestamp) - ms(started_at)) / 60_000);
}

describe('a worker 7 minutes ahead beside one 7 minutes behind', () => {
  it('keep their leases over builds that are longer, and nobody reaps them', async () => {
    expect(builds.map(({ status, error_message }) => [status, error_message])).toEqual([
      ['success', null],
      ['success', null],
    ]);
    const off = await Promise.all(builds.map(minutesOffIn));
    // So both have run one, and by clocks that are wrong.
    expect(off.sort((a, b) => a - b)).toEqual([-minutesOff, minutesOff]);
    expect(services.flatMap(({ output }) => output).filter((line) => line.includes('worker lost'))).toEqual([]);
  });

  it('write times that come from the one clock of the database', () => {
    for (const { started_at, completed_at, created_at } of builds) {
      expect(Math.abs(ms(created_at) - began)).toBeLessThan(60_000);
      expect(ms(started_at)).toBeGreaterThanOrEqual(ms(created_at));
      expect(ms(completed_at) - ms(started_at)).toBeGreaterThanOrEqual(buildSeconds * 1_000);
      expect(ms(completed_at) - ms(started_at)).toBeLessThan(60_000);
    }
  });

  it('have their lines in the order in which they were printed, for readers of every replica', async () => {
    const printed = Array.from({ length: count }, (_, index) => `line ${index + 1}`);
    for (const { id } of builds) {
      for (const service of services) {
        const reader = tenant.at(service);
        const client = await reader.follow(id);
        expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
        expect(client.lines).toEqual(await tenant.lines(id));
        expect(client.lines.filter((line) => /^line \d+$/.test(line))).toEqual(printed);
      }
    }
  });

  it('tell everywhere the same estimate of completion, by the database’s clock', async () => {
    const running = await Promise.all([1, 2].map(() => tenant.begin(project, { branch: 'endless' })));
    for (const { id } of running) {
      await tenant.line(id, 'begun');
      for (const service of services) {
        const { started_at, estimated_completion } = await tenant.at(service).status(id);
        expect(ms(estimated_completion) - ms(started_at)).toBeGreaterThan(0);
        expect(ms(estimated_completion) - ms(started_at)).toBeLessThan(120_000);
      }
    }
    await Promise.all(running.map(({ id }) => tenant.cancel(id)));
  });

  it('limit builds by time that really passes', async () => {
    const hasty = await tenant.project({ repository_url: repository.git.url, build_timeout_seconds: 5 });
    const begun = await Promise.all([1, 2].map(() => tenant.begin(hasty, { branch: 'endless' })));
    for (const { id } of begun) {
      const build = await tenant.end(id);
      expect(build.status).toBe('failed');
      expect(build.error_message).toMatch('The build took longer than its limit of 5 seconds');
      expect(ms(build.completed_at) - ms(build.started_at)).toBeGreaterThanOrEqual(5_000);
      expect(ms(build.completed_at) - ms(build.started_at)).toBeLessThan(40_000);
    }
  });
});

describe('an access token of one replica', () => {
  it('is good at every other, also where it comes from the future', async () => {
    for (const issuer of services) {
      const { token } = await issuer.signIn();
      for (const service of services) {
        expect((await new Caller(service.url, token).get('/auth/me')).status).toBe(200);
      }
    }
  });

  it('is renewed everywhere, as refresh tokens live by the database’s clock', async () => {
    let pair = (await new Caller(ahead.url, null).post<TokenPairDto>('/auth/login', platformAdmin)).expect(200);
    for (const service of [behind, api, ahead]) {
      const request = { refresh_token: pair.refresh_token };
      pair = (await new Caller(service.url, null).post<TokenPairDto>('/auth/refresh', request)).expect(200);
      expect((await new Caller(service.url, pair.access_token).get('/auth/me')).status).toBe(200);
    }
  });
});
