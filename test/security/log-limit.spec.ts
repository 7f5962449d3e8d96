import { BuildRepository } from '../support/build-repository';
import { Service } from '../support/service';
import { Tenant } from '../support/tenant';

const most = 300_000;
const repository = new BuildRepository();
let service: Service;
let tenant: Tenant;

beforeAll(async () => {
  repository.script('endless', 'RUN echo first; yes "a line that comes again and again"');
  repository.script('empty', 'RUN yes ""');
  repository.script('modest', 'RUN for i in $(seq 1 20); do echo line $i; sleep 0.2; done');
  const settings = { ...repository.settings, MAX_LOG_BYTES: String(most), WORKER_SLOTS: '3' };
  service = await Service.startOnServer({ settings });
  tenant = await Tenant.make(service);
}, 120_000);

afterAll(async () => {
  await service.stop();
  repository.remove();
}, 60_000);

describe('a build that prints without end', () => {
  it('fails by the limit of its log, which ends with that, while others go on', async () => {
    const project = await tenant.project({ repository_url: repository.git.url });
    const modest = await tenant.begin(project, { branch: 'modest' });
    const [endless, empty] = [
      await tenant.run(project, { branch: 'endless' }),
      await tenant.run(project, { branch: 'empty' }),
    ];
    const message = `The log exceeded its limit of ${most} bytes (MAX_LOG_BYTES)`;
    for (const build of [endless, empty]) {
      expect(build).toMatchObject({ status: 'failed', error_message: message });
      expect((await tenant.lines(build.id)).at(-1)).toBe(`Build failed: ${message}`);
      const [stored] = await service.sql<{ bytes: number }>(
        'SELECT sum(length(lines))::int AS bytes FROM build_log_chunks WHERE build_id = $1',
        [build.id],
      );
      expect(stored?.bytes).toBeLessThan(most * 1.5);
    }
    const printed = await tenant.lines(endless.id);
    expect(printed).toContain('first');
    expect(printed.length).toBeGreaterThan(1_000);
    expect(await tenant.end(modest.id)).toMatchObject({ status: 'success' });
    expect((await tenant.lines(modest.id)).filter((line) => /^line \d+$/.test(line))).toHaveLength(20);
  }, 120_000);
});
