import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../src/builds/build.dto';
import { ResumingFollower } from '../support/resuming-follower';
import type { Findings } from './findings';
import type { Judge } from './judge';
import type { Journal } from './journal';
import type { Ledger, LedgerEntry } from './ledger';
import { limitedSignal } from './limited-signal';
import { PatientCaller, type Settled } from './patient-caller';
import type { Randomness } from './randomness';
import { markArg, type Recipe, recipes } from './recipes';
import { StatusWatch } from './status-watch';

/** How long a started build may take to its end, with all that is done to the workers. */
const endMs = 300_000;
/** How long the followers of a deleted build may wait to hear of it. */
const goneMs = 60_000;

export interface ClientPlace {
  readonly name: string;
  readonly tenantId: string;
  readonly token: string;
  readonly projectIds: readonly string[];
  readonly urls: readonly string[];
  /** Begins the marks of its builds. */
  readonly markPrefix: string;
}

interface Asked {
  readonly path: string;
  readonly body?: unknown;
  readonly key: string;
  readonly ok: number;
}

/** Somebody who makes one build after another, does something to it, and waits for its end. */
export class Client {
  private readonly caller: PatientCaller;
  private builds = 0;

  public constructor(
    private readonly place: ClientPlace,
    private readonly ledger: Ledger,
    private readonly judge: Judge,
    private readonly findings: Findings,
    private readonly journal: Journal,
    private readonly random: Randomness,
    /** Ends it at once. */
    private readonly signal: AbortSignal,
  ) {
    this.caller = new PatientCaller(place.urls, place.token, signal, Math.floor(random.between(0, place.urls.length)));
  }

  /** Goes on until it is told to begin no more builds. */
  public async run(enough: AbortSignal): Promise<void> {
    while (!enough.aborted) {
      try {
        await this.story();
      } catch (error) {
        if (!this.signal.aborted) this.findings.add('stuck', `client ${this.place.name}: ${String(error)}`);
      }
      this.ledger.repeated += this.caller.repeats;
      this.caller.repeats = 0;
    }
  }

  private async story(): Promise<void> {
    const entry = await this.create(this.pickRecipe());
    if (this.random.chance(0.04)) return;
    if (this.random.chance(0.04)) return this.delete(entry);
    await this.live(entry);
    if (entry.sealed?.status !== 'failed' || entry.deleted !== 'no' || !this.random.chance(0.6)) return;
    await this.live(await this.retry(entry));
  }

  /** From the start of a build to its end. */
  private async live(entry: LedgerEntry): Promise<void> {
    const isEarly = this.random.chance(0.5);
    if (isEarly) this.follow(entry);
    await this.start(entry);
    if (!isEarly && this.random.chance(0.7)) this.follow(entry);
    const fate = this.random.next();
    if (fate < 0.18) await this.afterAWhile(() => this.cancel(entry));
    else if (fate < 0.26) await this.afterAWhile(() => this.delete(entry));
    if (entry.deleted === 'yes') await this.awaitGone(entry);
    else await this.awaitEnd(entry);
    if (entry.deleted !== 'yes' && this.random.chance(0.3)) await this.delete(entry);
    this.leave(entry);
  }

  private async create(recipe: Recipe): Promise<LedgerEntry> {
    this.builds += 1;
    const mark = `${this.place.markPrefix}-${this.place.name}-${this.builds}`;
    const projectId = this.random.pick(this.place.projectIds);
    const body = { project_id: projectId, git_branch: recipe.name, build_args: { [markArg]: mark } };
    const { id } = await this.make({ path: '/builds', body, key: mark, ok: 201 });
    return this.add({ id, projectId, mark, recipe, retryOf: null });
  }

  private async retry({ id: retryOf, projectId, mark, recipe }: LedgerEntry): Promise<LedgerEntry> {
    const { id } = await this.make({ path: `/builds/${retryOf}/retry`, key: `${mark}-retry`, ok: 200 });
    return this.add({ id, projectId, mark, recipe, retryOf });
  }

  /** Asks for a new build; sometimes twice at once, which must make one build all the same. */
  private async make({ path, body, key, ok }: Asked): Promise<BuildDto> {
    const ask = async (): Promise<BuildDto> => (await this.caller.post<BuildDto>(path, body, key)).answer.expect(ok);
    const [build, twin] = await Promise.all([ask(), ...(this.random.chance(0.15) ? [ask()] : [])]);
    if (twin !== undefined && twin.id !== build.id) {
      this.findings.add('doubled', `the key ${key} made the builds ${build.id} and ${twin.id}`, build.id);
    }
    return build;
  }

  private add(build: Pick<LedgerEntry, 'id' | 'projectId' | 'mark' | 'recipe' | 'retryOf'>): LedgerEntry {
    this.journal.note(`${this.place.name}: made ${build.recipe.name} ${build.id}`);
    return this.ledger.add({ ...build, tenantId: this.place.tenantId });
  }

  /** Sometimes twice at once: one of the two must be refused. */
  private async start(entry: LedgerEntry): Promise<void> {
    entry.started = 'asked';
    const ask = (): Promise<Settled<BuildDto>> => this.caller.post<BuildDto>(`/builds/${entry.id}/start`);
    const all = await Promise.all([ask(), ...(this.random.chance(0.1) ? [ask()] : [])]);
    const accepted = all.filter(({ answer }) => answer.status === 200).length;
    for (const { answer } of all) if (answer.status !== 409) answer.expect(200);
    if (accepted > 1) this.findings.add('doubled', `build ${entry.id} was started ${accepted} times`, entry.id);
    // Refused is one whose answer was lost the first time, too.
    if (accepted === 0 && all.every(({ isRepeated }) => !isRepeated)) {
      this.findings.add('wrong', `build ${entry.id} could not be started: ${all[0].answer.text}`, entry.id);
    }
    entry.started = 'yes';
    this.journal.note(`${this.place.name}: started ${entry.id}`);
  }

  private async cancel(entry: LedgerEntry): Promise<void> {
    entry.cancelled = 'asked';
    const { answer, isRepeated } = await this.caller.post<BuildDto>(`/builds/${entry.id}/cancel`, { reason: 'Chaos' });
    this.journal.note(`${this.place.name}: cancelling ${entry.id} answered ${answer.status}`);
    if (answer.status === 409) {
      if (!isRepeated) entry.cancelled = 'no';
      return;
    }
    const { status } = answer.expect(200);
    if (status !== 'cancelled') this.findings.add('lost', `build ${entry.id} was cancelled to ${status}`, entry.id);
    entry.cancelled = 'yes';
  }

  private async delete(entry: LedgerEntry): Promise<void> {
    entry.deleted = 'asked';
    const { answer, isRepeated } = await this.caller.delete(`/builds/${entry.id}`);
    this.journal.note(`${this.place.name}: deleting ${entry.id} answered ${answer.status}`);
    if (answer.status !== 404 || !isRepeated) answer.expect(204);
    entry.deleted = 'yes';
    const { answer: later } = await this.caller.get(`/builds/${entry.id}`);
    if (later.status !== 404) this.findings.add('lost', `build ${entry.id} is there after its deletion`, entry.id);
  }

  private follow(entry: LedgerEntry): void {
    const { urls, token } = this.place;
    const count = this.random.chance(0.2) ? 2 : 1;
    for (let index = 0; index < count; index += 1) {
      const first = Math.floor(this.random.between(0, urls.length));
      entry.followers.push(new ResumingFollower({ urls, token, buildId: entry.id, first }));
    }
  }

  private async awaitEnd(entry: LedgerEntry): Promise<void> {
    const patience = limitedSignal(endMs, this.signal);
    try {
      const watch = new StatusWatch(entry.id, this.caller, this.findings);
      const status = await watch.ended(this.random.between(150, 600), patience.signal);
      if (status === null) this.findings.add('lost', `build ${entry.id} is gone, and nobody deleted it`, entry.id);
      for (const follower of entry.followers) {
        const reason = await orAborted(follower.ended, patience.signal);
        if (reason === status) continue;
        this.findings.add(
          'wrong',
          `build ${entry.id} is ${status ?? 'gone'}, and its follower heard ${reason}`,
          entry.id,
        );
      }
      await this.judge.seal(entry);
    } catch (error) {
      if (this.signal.aborted) throw error;
      this.findings.add(
        'stuck',
        `build ${entry.id} (${entry.recipe.name}) or its follower: ${String(error)}`,
        entry.id,
      );
    } finally {
      patience.release();
    }
  }

  /** Who follows a build that is deleted is told so. */
  private async awaitGone({ id, followers }: LedgerEntry): Promise<void> {
    const patience = limitedSignal(goneMs, this.signal);
    try {
      await Promise.all(followers.map(({ ended }) => orAborted(endOf(ended), patience.signal)));
    } catch {
      if (this.signal.aborted) return;
      this.findings.add('stuck', `build ${id} is deleted, and its follower heard nothing`, id);
    } finally {
      patience.release();
    }
  }

  /** Judges what its followers saw, and forgets it: a long run would not fit into memory. */
  private leave(entry: LedgerEntry): void {
    this.judge.judgeSeen(entry);
    this.ledger.linesStored += entry.sealed?.lines ?? 0;
    for (const follower of entry.followers.splice(0)) {
      this.ledger.linesFollowed += follower.messages.length;
      this.ledger.resumed += follower.breaks.length;
      follower.stop();
    }
  }

  private async afterAWhile(act: () => Promise<void>): Promise<void> {
    await sleep(this.random.between(0, 6_000), undefined, { signal: this.signal });
    await act();
  }

  private pickRecipe(): Recipe {
    return this.random.pick(recipes.flatMap((recipe) => Array.from({ length: recipe.weight }, () => recipe)));
  }
}

/** However it ended. */
async function endOf(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined);
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      reject(new Error('It did not end in time.'));
    };
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    work.then(resolve, reject);
  });
}
