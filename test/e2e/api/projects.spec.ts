import { randomUUID } from 'node:crypto';
import type { ProjectDto, ProjectListDto } from '../../../src/projects/project.dto';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Answer, Caller } from '../../support/caller';

let api: Api;
let world: World;
let caller: Caller;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
  ({ caller } = world);
});

afterAll(async () => {
  await api.stop();
});

const fields = (answer: Answer): string[] => Object.keys(answer.error.details ?? {});

describe('projects', () => {
  const project = (changes: object = {}): object => ({
    name: `project ${randomUUID()}`,
    repository_url: 'https://git.example.com/team/app.git',
    ...changes,
  });

  it('are created with the defaults', async () => {
    const created = (await caller.post<ProjectDto>('/projects', project({ name: 'hello' }))).expect(201);
    expect(created).toEqual({
      id: expect.any(String) as string,
      name: 'hello',
      repository_url: 'https://git.example.com/team/app.git',
      default_branch: 'main',
      dockerfile_path: 'Dockerfile',
      context_path: '.',
      image_repository: null,
      build_timeout_seconds: 3600,
      auto_start: false,
      build_args: {},
      created_at: expect.any(String) as string,
      updated_at: expect.any(String) as string,
    });
    expect((await caller.get(`/projects/${created.id}`)).expect(200)).toEqual(created);
  });

  it('are changed field by field', async () => {
    const created = (await caller.post<ProjectDto>('/projects', project())).expect(201);
    const change = {
      name: `renamed ${randomUUID()}`,
      repository_url: 'ssh://git@git.example.com/team/other.git',
      default_branch: 'develop',
      dockerfile_path: 'docker/Dockerfile',
      context_path: 'src',
      image_repository: 'registry.example.com:5000/team/app',
      build_timeout_seconds: 60,
      auto_start: true,
      build_args: { A: 'b' },
    };
    let expected: object = created;
    for (const [name, value] of Object.entries(change)) {
      const changed = (await caller.patch<ProjectDto>(`/projects/${created.id}`, { [name]: value })).expect(200);
      expected = { ...expected, [name]: value, updated_at: changed.updated_at };
      expect(changed).toEqual(expected);
    }
    const back = await caller.patch<ProjectDto>(`/projects/${created.id}`, { image_repository: null });
    expect(back.expect(200).image_repository).toBeNull();
  });

  it('shows no credentials of a repository URL, to nobody', async () => {
    const secretUrl = 'https://robot:sesame-123@git.example.com/team/private.git';
    const made = await caller.post<ProjectDto>('/projects', project({ repository_url: secretUrl }));
    const { id, repository_url: shown } = made.expect(201);
    expect(shown).toBe('https://***@git.example.com/team/private.git');
    for (const path of [`/projects/${id}`, '/projects']) {
      expect(JSON.stringify((await caller.get(path)).expect(200))).not.toContain('sesame');
    }
  });

  it('stay as they are when nothing is changed', async () => {
    const created = (await caller.post<ProjectDto>('/projects', project())).expect(201);
    const same = await caller.patch(`/projects/${created.id}`, { tenant_id: randomUUID(), id: randomUUID() });
    expect(same.expect(200)).toEqual(created);
  });

  it('are listed newest first, by pages', async () => {
    const own = await World.make(api);
    for (const name of ['b', 'c']) (await own.caller.post('/projects', project({ name }))).expect(201);
    const first = (await own.caller.get<ProjectListDto>('/projects?limit=2')).expect(200);
    expect(first.projects.map(({ name }) => name)).toEqual(['c', 'b']);
    expect(first).toMatchObject({ total_count: 3, page: 1, limit: 2, has_more: true });
    const second = (await own.caller.get<ProjectListDto>('/projects?limit=2&page=2')).expect(200);
    expect(second).toMatchObject({ projects: [{ id: own.project.id }], has_more: false });
    const far = await own.caller.get<ProjectListDto>('/projects?page=9007199254740991&limit=100');
    expect(far.expect(200).projects).toEqual([]);
  });

  it('have a name of their own in a tenant, whatever its case, until they are deleted', async () => {
    const name = `Taken ${randomUUID()}`;
    const first = (await caller.post<ProjectDto>('/projects', project({ name }))).expect(201);
    const again = await caller.post('/projects', project({ name: name.toUpperCase() }));
    expect([again.status, fields(again)]).toEqual([409, ['name']]);
    expect((await caller.patch(`/projects/${world.project.id}`, { name })).status).toBe(409);
    (await (await World.make(api)).caller.post('/projects', project({ name }))).expect(201);
    (await caller.delete(`/projects/${first.id}`)).expect(204);
    (await caller.post('/projects', project({ name }))).expect(201);
  });

  it('are gone with all of their builds when they are deleted', async () => {
    const own = await World.make(api);
    const builds = [
      await own.build(),
      await own.build({ status: 'in_progress' }),
      await own.build({ status: 'success' }),
    ];
    (await own.caller.delete(`/projects/${own.project.id}`)).expect(204);
    expect((await own.caller.get(`/projects/${own.project.id}`)).status).toBe(404);
    expect((await own.caller.delete(`/projects/${own.project.id}`)).status).toBe(404);
    for (const { id } of builds) expect((await own.caller.get(`/builds/${id}`)).status).toBe(404);
    const rows = await api.sql<{ status: string }>('SELECT status FROM builds WHERE project_id = $1', [own.project.id]);
    expect(rows.map(({ status }) => status).sort()).toEqual(['cancelled', 'queued', 'success']);
  });

  it('are gone also with very many builds', async () => {
    const own = await World.make(api);
    const many = 12_000;
    // As a restored dump puts them in: their numbers and counters are given.
    await api.sql(`
      BEGIN;
      SET LOCAL session_replication_role = replica;
      INSERT INTO builds (tenant_id, project_id, build_number, git_branch)
        SELECT '${own.tenantId}', '${own.project.id}', n, 'main' FROM generate_series(1, ${many}) n;
      INSERT INTO build_logs (build_id, tenant_id)
        SELECT id, tenant_id FROM builds WHERE project_id = '${own.project.id}';
      UPDATE projects SET builds_queued = ${many}, last_build_number = ${many} WHERE id = '${own.project.id}';
      COMMIT`);
    (await own.caller.delete(`/projects/${own.project.id}`)).expect(204);
    const [left] = await api.sql<{ builds: number; logs: number; counted: number }>(
      `SELECT (SELECT count(*)::int FROM builds WHERE project_id = p.id AND deleted_at IS NULL) AS builds,
              (SELECT count(*)::int FROM build_logs WHERE tenant_id = p.tenant_id AND deleted_at IS NULL) AS logs,
              builds_queued AS counted
       FROM projects p WHERE id = $1`,
      [own.project.id],
    );
    expect(left).toEqual({ builds: 0, logs: 0, counted: 0 });
  });

  it.each<[string, unknown]>([
    ['name', ''],
    ['name', 'x'.repeat(101)],
    ['name', null],
    ['repository_url', 'x'],
    ['repository_url', '/srv/git/app.git'],
    ['repository_url', 'file:///srv/git/app.git'],
    ['repository_url', 'http://git.example.com/app.git'],
    ['repository_url', 'ext::sh -c id'],
    ['repository_url', '--upload-pack=id'],
    ['repository_url', 'https://git.example.com/app.git\n'],
    ['repository_url', `https://git.example.com/${'x'.repeat(2048)}`],
    ['default_branch', '-x'],
    ['default_branch', null],
    ['dockerfile_path', '/etc/passwd'],
    ['dockerfile_path', '../Dockerfile'],
    ['dockerfile_path', ''],
    ['context_path', 'a/../../b'],
    ['context_path', 'a\\b'],
    ['image_repository', ''],
    ['image_repository', 'app'],
    ['image_repository', 'registry.example.com/app:latest'],
    ['image_repository', 'registry.example.com/App'],
    ['image_repository', 'https://registry.example.com/app'],
    ['image_repository', 5],
    ['build_timeout_seconds', 0],
    ['build_timeout_seconds', 86_401],
    ['build_timeout_seconds', 1.5],
    ['build_timeout_seconds', '60'],
    ['build_timeout_seconds', null],
    ['auto_start', 'true'],
    ['auto_start', 1],
    ['auto_start', null],
    ['build_args', null],
    ['build_args', { 'A-B': 'x' }],
  ])('refuse %s = %j on creation and on change', async (name, value) => {
    const created = await caller.post('/projects', project({ [name]: value }));
    expect([created.status, fields(created)]).toEqual([400, [name]]);
    const changed = await caller.patch(`/projects/${world.project.id}`, { [name]: value });
    expect([changed.status, fields(changed)]).toEqual([400, [name]]);
  });
});
