import { setMaxListeners } from 'node:events';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { Tenant } from '../support/tenant';
import { ChaosDatabase } from './chaos-database';
import { Client, type ClientPlace } from './client';
import { Deeds } from './deeds';
import { FinalJudge } from './final-judge';
import { Findings } from './findings';
import { explain } from './explanation';
import { Journal } from './journal';
import { Judge } from './judge';
import { Ledger } from './ledger';
import { limitedSignal } from './limited-signal';
import { Mayhem } from './mayhem';
import type { ChaosOptions } from './options';
import { Orphans } from './orphans';
import { Randomness } from './randomness';
import { writeRecipes } from './recipes';
import { Report } from './report';
import { Sightings } from './sightings';
import { Victim } from './victim';

const leaseSeconds = 6;
/** Clients of each tenant. */
const tenantSizes = [4, 2, 1];
const projectsOfTenant = 2;
const progressMs = 5_000;
const leastKillsPerMinute = 5;
/** On a busy machine builds take so long that most of them lose their worker. */
const leastSuccessesPerMinute = 1;

/** One run: an installation, its clients, what is done to it, and the judgement. */
export class Chaos {
  private readonly journal = new Journal();
  private readonly findings = new Findings();
  private readonly deeds = new Deeds();
  private readonly ledger = new Ledger();
  private readonly repository = new BuildRepository();
  private readonly random: Randomness;
  private readonly startedAt = performance.now();
  private database: ChaosDatabase | undefined;
  private cluster: Cluster | undefined;
  private victims: readonly Victim[] = [];
  private readonly markPrefix = `chaos-${process.pid}-${Date.now().toString(36)}`;

  public constructor(
    private readonly options: ChaosOptions,
    private readonly say: (text: string) => void,
  ) {
    this.random = new Randomness(options.seed);
  }

  /** @returns whether nothing was found. @throws the signal's reason when it was interrupted; nothing is left then */
  public async run(interrupted: AbortSignal): Promise<boolean> {
    this.say(`Chaos for ${this.options.minutes} minutes; repeat it with --seed ${this.options.seed}`);
    // A Ctrl-C at the terminal reaches the services as well.
    interrupted.addEventListener('abort', () => {
      for (const victim of this.victims) victim.retire();
    });
    try {
      const cluster = await this.build();
      interrupted.throwIfAborted();
      await this.torment(cluster, interrupted);
      interrupted.throwIfAborted();
      return this.findings.list.length === 0;
    } finally {
      await this.cleanUp();
    }
  }

  private async build(): Promise<Cluster> {
    writeRecipes(this.repository);
    this.database = await ChaosDatabase.start();
    const settings = {
      ...this.repository.settings,
      LEASE_SECONDS: String(leaseSeconds),
      SHUTDOWN_GRACE_SECONDS: '3',
      JWT_TTL_SECONDS: '86400',
    };
    this.cluster = await Cluster.start({ apis: 2, workers: 3, settings, databaseUrl: this.database.url });
    const places = [...this.cluster.apis, ...this.cluster.workers];
    this.victims = places.map((replica, index) => {
      const number = replica.role === 'api' ? index : index - 2;
      return new Victim(`${replica.role}-${number}`, replica, this.findings, this.deeds, this.journal);
    });
    return this.cluster;
  }

  private async torment(cluster: Cluster, interrupted: AbortSignal): Promise<void> {
    const { findings, deeds, ledger, random, journal } = this;
    const database = this.started();
    const over = new AbortController();
    for (const end of [interrupted, findings.signal]) {
      end.addEventListener('abort', () => {
        over.abort();
      });
    }
    const enough = limitedSignal(this.options.minutes * 60_000, over.signal);
    // Each client and each event listens to them.
    setMaxListeners(0, over.signal, enough.signal);
    const mayhem = new Mayhem(this.victims, database, leaseSeconds, random.fork(), findings, deeds, journal);
    const report = new Report(this.options, ledger, mayhem, findings);
    const judge = new Judge(database, findings, deeds, over.signal);
    const clients = (await this.places(cluster)).map(
      (place) => new Client(place, ledger, judge, findings, journal, random.fork(), over.signal),
    );
    const sightings = new Sightings(cluster.root, findings);
    const telling = setInterval(() => {
      this.say(report.progress(this.seconds));
    }, progressMs);
    sightings.start();
    try {
      await Promise.all([mayhem.run(enough.signal), ...clients.map((client) => client.run(enough.signal))]);
      if (!over.signal.aborted) await this.settle(cluster, database, mayhem);
    } finally {
      enough.release();
      clearInterval(telling);
      sightings.stop();
    }
    for (const victim of this.victims) victim.keepOutput();
    for (const finding of findings.list) this.say(await explain(finding, ledger, database, journal));
    this.say(report.table(this.seconds));
    if (findings.list.length > 0) this.say(`What every process printed and all events: ${journal.directory}`);
  }

  /** Everything has stopped happening: what is not right now will never be. */
  private async settle(cluster: Cluster, database: ChaosDatabase, mayhem: Mayhem): Promise<void> {
    this.say('The chaos is over; all that was acknowledged is compared with what is there …');
    await new FinalJudge(database, this.ledger, this.findings, cluster.artifactDir).judge();
    await new Orphans(cluster, database, this.markPrefix).judge(this.findings);
    this.judgeRun(mayhem);
  }

  /** A run in which little was killed, or in which nothing succeeded, has shown nothing. */
  private judgeRun({ kills }: Mayhem): void {
    const [killed, least] = [kills.api + kills.worker, Math.floor(this.options.minutes * leastKillsPerMinute)];
    if (killed < least)
      this.findings.add('wrong', `only ${killed} kills in place of ${least}: is this machine too busy?`);
    const succeeded = this.ledger.countWhere(({ sealed }) => sealed?.status === 'success');
    if (succeeded < Math.floor(this.options.minutes * leastSuccessesPerMinute))
      this.findings.add('wrong', `only ${succeeded} builds succeeded`);
  }

  /** Tenants of different sizes, and where each of their clients works. */
  private async places(cluster: Cluster): Promise<ClientPlace[]> {
    const places: ClientPlace[] = [];
    for (const [number, size] of tenantSizes.entries()) {
      const tenant = await Tenant.make(cluster.api(0).service);
      const made = Array.from({ length: projectsOfTenant }, () =>
        tenant.project({ repository_url: this.repository.git.url }),
      );
      const projectIds = (await Promise.all(made)).map(({ id }) => id);
      const token = tenant.caller.token ?? '';
      for (let index = 0; index < size; index += 1) {
        const name = `client-${number}-${index}`;
        const { urls } = cluster;
        places.push({ name, tenantId: tenant.id, token, projectIds, urls, markPrefix: this.markPrefix });
      }
    }
    return places;
  }

  private async cleanUp(): Promise<void> {
    const { cluster, database } = this;
    for (const victim of this.victims) victim.retire();
    this.ledger.stopFollowers();
    await cluster?.stop();
    if (cluster !== undefined && database !== undefined) {
      // Only what was found as an orphan, or was being started when the run was interrupted, lives now.
      for (const pid of new Orphans(cluster, database, this.markPrefix).processes()) process.kill(pid, 'SIGKILL');
    }
    await database?.stop();
    this.repository.remove();
    if (this.findings.list.length === 0) this.journal.remove();
  }

  private started(): ChaosDatabase {
    if (this.database === undefined) throw new Error('The database was not started.');
    return this.database;
  }

  private get seconds(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }
}
