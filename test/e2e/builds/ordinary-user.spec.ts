import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BuildRepository } from '../../support/build-repository';
import { makeOtherUser, type OtherUser } from '../../support/other-user';
import { removeDataDir } from '../../support/remove-data-dir';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';

const isRoot = process.geteuid?.() === 0;
const repository = new BuildRepository();
/** Who runs the service: an ordinary user in any case, made here when the tests run as root. */
let user: OtherUser | undefined;
let home: string;
let service: Service;

beforeAll(async () => {
  repository.script('main', 'RUN echo I am $(id -u)');
  user = isRoot ? makeOtherUser() : undefined;
  home = user?.home ?? mkdtempSync(path.join(tmpdir(), 'image-factory-home-'));
  service = await Service.start({ dataDir: path.join(home, 'data'), settings: repository.settings, runner: user });
});

afterAll(async () => {
  await service.stop();
  if (user === undefined) await removeDataDir(home);
  user?.remove();
  repository.remove();
});

it('builds for an ordinary user with the data below a private home', async () => {
  expect(statSync(home).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(home, 'data')).uid).not.toBe(0);
  const tenant = await Tenant.make(service);
  const project = await tenant.project({ repository_url: repository.git.url });
  const build = await tenant.run(project, { branch: 'main' });
  expect(build).toMatchObject({ status: 'success', error_message: null });
  expect(await tenant.lines(build.id)).toContain('I am 0');
  const image = await tenant.caller.get(`/builds/${build.id}/image`);
  expect(image.status).toBe(200);
});
