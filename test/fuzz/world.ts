import { randomBytes, randomUUID } from 'node:crypto';
import type { CreatedApiKeyDto } from '../../src/api-keys/api-key.dto';
import type { TokenPairDto } from '../../src/auth/auth.dto';
import type { MeDto } from '../../src/auth/me.dto';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { UserDto } from '../../src/users/user.dto';
import { Caller } from '../support/caller';
import type { Service } from '../support/service';
import { Tenant } from '../support/tenant';
import { type ActorName, actorNames, type IdWish } from './plan';

const uuidPattern = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const rememberedIds = 400;

/** How the service under test is set: with secrets, which it could not keep without a key. */
export const fuzzSettings = { ROLES: 'api', SECRETS_KEY: randomBytes(32).toString('hex') } as const;

/** One tenant of a run. All of its texts carry its canary, which no other tenant may ever see. */
export class Party {
  public readonly canary = `canary-${randomUUID().slice(0, 8)}`;
  /** What requests may name: the newest of each kind, by the first word of the path. */
  public readonly ids = new Map<string, string[]>();
  /** Ids of others that it named in paths: its audit log tells what was refused to it. */
  public readonly asked = new Set<string>();
  /** Of a user of it who signs in now and then. */
  public readonly login = { email: `${this.canary}-guest@example.com`, password: randomUUID() };

  public constructor(
    public readonly tenant: Pick<Tenant, 'id'>,
    public readonly tokens: ReadonlyMap<string, string>,
  ) {}

  public learn(kind: string, id: string): void {
    const known = this.ids.get(kind) ?? [];
    known.push(id);
    if (known.length > rememberedIds) known.shift();
    this.ids.set(kind, known);
  }

  public idOf(kind: string, number: number): string | undefined {
    const known = this.ids.get(kind) ?? [];
    return known[number % known.length];
  }
}

/** Two tenants who act, one who never does, and the platform's admin, on a running service. */
export class FuzzWorld {
  /** Whose each id is that an answer showed to somebody who may see it. */
  private readonly owners = new Map<string, Party>();
  /** The newest one that an answer held. */
  private refreshToken = 'none yet';

  private constructor(
    public readonly service: Service,
    private readonly acting: Party,
    private readonly strange: Party,
    public readonly bystander: Party,
    private readonly platform: Party,
  ) {}

  public static async make(service: Service): Promise<FuzzWorld> {
    const parties: Party[] = [];
    for (let index = 0; index < 3; index += 1) parties.push(await makeParty(service));
    const [acting, strange, bystander] = parties;
    if (acting === undefined || strange === undefined || bystander === undefined) throw new Error('No parties');
    const world = new FuzzWorld(service, acting, strange, bystander, await makePlatform(service));
    for (const party of parties) for (const id of [...party.ids.values()].flat()) world.owners.set(id, party);
    return world;
  }

  public partyOf(actor: ActorName): Party | null {
    if (actor === 'nobody' || actor === 'forger') return null;
    if (actor === 'platform') return this.platform;
    return actor === 'stranger' || actor === 'strangerKey' ? this.strange : this.acting;
  }

  public tokenOf(actor: ActorName): string | null {
    if (actor === 'nobody') return null;
    const token = this.partyOf(actor)?.tokens.get(
      actor === 'stranger' ? 'admin' : actor === 'strangerKey' ? 'key' : actor,
    );
    // Good in every way but for its signature.
    return token ?? `${(this.acting.tokens.get('admin') ?? '').split('.').slice(0, 2).join('.')}.${'A'.repeat(43)}`;
  }

  /** The text in place of an id. */
  public idFor(actor: ActorName, kind: string, wish: IdWish): string {
    const own = this.partyOf(actor) ?? this.acting;
    const foreign = own === this.strange ? this.acting : this.strange;
    switch (wish.kind) {
      case 'own':
        return own.idOf(kind, wish.number) ?? randomUUID();
      case 'foreign': {
        const id = (wish.number % 3 === 0 ? this.bystander : foreign).idOf(kind, wish.number) ?? randomUUID();
        own.asked.add(id);
        return id;
      }
      case 'absent':
        return randomUUID();
      case 'text':
        return wish.text;
    }
  }

  /** What the operation takes for a user of the first tenant, unless it was used up meanwhile. */
  public credentialFor(operationId: string): object {
    return operationId === 'login' ? this.acting.login : { refresh_token: this.refreshToken };
  }

  /** Remembers what the next refresh takes. */
  public signedIn(body: unknown): void {
    const { refresh_token: token } = body as TokenPairDto;
    this.refreshToken = token;
  }

  /** Remembers what somebody has made. */
  public made(actor: ActorName, kind: string, body: unknown): void {
    const party = this.partyOf(actor);
    const id = typeof body === 'object' && body !== null && 'id' in body ? body.id : undefined;
    if (party === null || typeof id !== 'string') return;
    party.learn(kind, id);
    this.owners.set(id, party);
  }

  /**
   * What a text shows of tenants that its reader is not of, beyond what the reader said himself.
   * @param isAudit of the audit log, where the reader meets what he said before
   */
  public leaks(actor: ActorName, text: string, sent: string, isAudit = false): string[] {
    const reader = this.partyOf(actor);
    const asked = isAudit ? reader?.asked : undefined;
    const others = [this.acting, this.strange, this.bystander].filter((party) => party !== reader);
    const canaries = others.map(({ canary }) => canary).filter((canary) => text.includes(canary));
    // There he also meets what strangers were refused.
    if (isAudit && actor === 'platform') return canaries;
    const ids = [...text.matchAll(uuidPattern)].map(([id]) => id.toLowerCase());
    const foreign = ids.filter((id) => {
      const owner = this.owners.get(id);
      return owner !== undefined && owner !== reader && asked?.has(id) !== true && !sent.toLowerCase().includes(id);
    });
    return [...canaries, ...foreign];
  }

  /** The names of those whose credential is good no more: what they asked since shows nothing. */
  public async shutOut(): Promise<ActorName[]> {
    const everybody = actorNames.filter((actor) => actor !== 'nobody' && actor !== 'forger');
    const answers = await Promise.all(
      everybody.map((actor) => new Caller(this.service.url, this.tokenOf(actor)).get('/auth/me')),
    );
    return everybody.filter((_, index) => answers[index]?.status !== 200);
  }

  /** Everything that belongs to the tenant who does nothing, as the database has it: a text for each table. */
  public async bystanderRows(): Promise<Map<string, string>> {
    const rows = new Map<string, string>();
    // The janitor may pack the lines of a log meanwhile.
    const ofLog = 'build_id, total_lines, outcome, closed_at, deleted_at';
    const tables = ['projects', 'builds', 'users', 'api_keys', 'project_secrets', 'audit_events'];
    const columns = { build_logs: ofLog, ...Object.fromEntries(tables.map((table) => [table, '*'])) };
    for (const [table, wanted] of Object.entries(columns)) {
      const statement = `SELECT ${wanted} FROM ${table} WHERE tenant_id = $1 ORDER BY 1`;
      const found = await this.service.sql(statement, [this.bystander.tenant.id]);
      rows.set(table, JSON.stringify(found));
    }
    return rows;
  }
}

async function makeParty(service: Service): Promise<Party> {
  const tenant = await Tenant.make(service);
  const tokens = new Map([['admin', tenant.caller.token ?? '']]);
  const party = new Party(tenant, tokens);
  const { canary } = party;
  const { caller } = tenant;
  for (const role of ['developer', 'viewer'] as const) {
    const login = { email: `${canary}-${role}@example.com`, password: randomUUID() };
    const user = (await caller.post<UserDto>('/users', { ...login, name: `${canary} ${role}`, role })).expect(201);
    party.learn('users', user.id);
    tokens.set(role, (await service.signIn(login)).token ?? '');
  }
  (await caller.post<UserDto>('/users', { ...party.login, name: `${canary} guest`, role: 'viewer' })).expect(201);
  const wish = { name: `${canary} key`, permissions: ['build:list', 'build:read', 'build:create', 'project:list'] };
  // The one that requests use is not the one that they revoke.
  tokens.set('key', (await caller.post<CreatedApiKeyDto>('/api-keys', wish)).expect(201).key);
  party.learn('api-keys', (await caller.post<CreatedApiKeyDto>('/api-keys', wish)).expect(201).id);
  for (let index = 0; index < 3; index += 1) {
    const project = await tenant.project({
      name: `${canary} ${index}`,
      repository_url: `https://git.example.com/${canary}/app.git`,
    });
    party.learn('projects', project.id);
    (await caller.send('PUT', `/projects/${project.id}/secrets/TOKEN`, { value: `${canary} secret` })).expect(204);
    for (let number = 0; number < 8; number += 1) await makeBuild(service, party, project, number);
  }
  return party;
}

async function makePlatform(service: Service): Promise<Party> {
  const { token } = await service.signIn();
  const me = (await new Caller(service.url, token).get<MeDto>('/auth/me')).expect(200);
  return new Party({ id: me.tenant_id }, new Map([['platform', token ?? '']]));
}

/** Queued, in progress, cancelled and failed ones, by turns. */
async function makeBuild(service: Service, party: Party, { id }: ProjectDto, number: number): Promise<void> {
  const caller = new Caller(service.url, party.tokens.get('admin') ?? null);
  const request = { project_id: id, git_branch: party.canary, build_args: { NOTE: party.canary } };
  const build = (await caller.post<BuildDto>('/builds', request)).expect(201);
  party.learn('builds', build.id);
  if (number % 4 > 0) (await caller.post(`/builds/${build.id}/start`)).expect(200);
  if (number % 4 === 3) await fail(service, build.id);
  if (number % 4 === 2) (await caller.post(`/builds/${build.id}/cancel`, { reason: party.canary })).expect(200);
}

/** No worker runs here: brings a build to where one would. */
async function fail(service: Service, id: string): Promise<void> {
  const outcome = "status = 'failed', completed_at = now(), error_message = 'Step 2/3 failed with exit code 1'";
  await service.sql(`UPDATE builds SET ${outcome}, git_commit = '${'c'.repeat(40)}' WHERE id = $1`, [id]);
  await service.sql("UPDATE build_logs SET outcome = 'failed', closed_at = now() WHERE build_id = $1", [id]);
}
