import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosDatabase } from './chaos-database';
import type { Deeds } from './deeds';
import type { Findings } from './findings';
import type { Journal } from './journal';
import type { Randomness } from './randomness';
import type { Victim } from './victim';

/** Seconds between the beginnings of two events of a kind: at least one kill each ten seconds, a restart each 25. */
const pace = {
  kill: [5, 10],
  replace: [9, 18],
  pause: [12, 24],
  database: [10, 25],
} as const;

const retryMs = 250;

/** What is done to the installation: it comes from the seed alone, whatever the installation makes of it. */
export class Mayhem {
  public readonly kills = { api: 0, worker: 0 };
  public readonly replaced = { api: 0, worker: 0 };
  public paused = 0;
  public restarts = 0;
  public freezes = 0;
  private isDatabaseBusy = false;
  private readonly underWay = new Set<Promise<void>>();

  public constructor(
    private readonly victims: readonly Victim[],
    private readonly database: ChaosDatabase,
    private readonly leaseSeconds: number,
    private readonly random: Randomness,
    private readonly findings: Findings,
    private readonly deeds: Deeds,
    private readonly journal: Journal,
  ) {}

  /** Until the signal is aborted; returns when everything runs again. */
  public async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.repeat(pace.kill, signal, (random) => this.kill(random)),
      this.repeat(pace.replace, signal, (random) => this.replace(random)),
      this.repeat(pace.pause, signal, (random) => this.pause(random)),
      this.repeat(pace.database, signal, (random) => this.torment(random)),
    ]);
    await Promise.all(this.underWay);
  }

  private async repeat(
    [least, most]: readonly [number, number],
    signal: AbortSignal,
    act: (random: Randomness) => Promise<void> | null,
  ): Promise<void> {
    const random = this.random.fork();
    for (;;) {
      await sleep(random.between(least, most) * 1_000, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const begun = await this.begin(() => act(random), signal);
      if (begun === null) return;
      const acting = begun.ended.catch((error: unknown) => {
        this.findings.add('stuck', `The database after it was tormented: ${String(error)}`);
      });
      this.underWay.add(acting);
      void acting.finally(() => this.underWay.delete(acting));
    }
  }

  /** Waits for somebody to do it to, as all may still be busy with what was done before. */
  private async begin(
    act: () => Promise<void> | null,
    signal: AbortSignal,
  ): Promise<{ readonly ended: Promise<void> } | null> {
    while (!signal.aborted) {
      const ended = act();
      if (ended !== null) return { ended };
      await sleep(retryMs);
    }
    return null;
  }

  private kill(random: Randomness): Promise<void> | null {
    const victim = this.pick(this.victims, random);
    if (victim === null) return null;
    this.kills[victim.role] += 1;
    return victim.kill(random.between(200, 3_000));
  }

  private replace(random: Randomness): Promise<void> | null {
    const victim = this.pick(this.spared(), random);
    if (victim === null) return null;
    this.replaced[victim.role] += 1;
    return victim.replace();
  }

  /** Longer than the lease: it wakes as a worker whose builds are not its own any more. */
  private pause(random: Randomness): Promise<void> | null {
    const workers = this.spared().filter(({ role }) => role === 'worker');
    const victim = this.pick(workers, random);
    if (victim === null) return null;
    this.paused += 1;
    return victim.pause((this.leaseSeconds + random.between(1, 5)) * 1_000);
  }

  private torment(random: Randomness): Promise<void> | null {
    if (this.isDatabaseBusy) return null;
    this.isDatabaseBusy = true;
    const done = this.deeds.begin('database', null);
    const act = random.chance(0.6) || this.restarts === 0 ? this.restart() : this.freeze(random.between(500, 5_000));
    return act.finally(() => {
      done();
      this.isDatabaseBusy = false;
    });
  }

  private async restart(): Promise<void> {
    this.restarts += 1;
    this.journal.note('database: restarted as after a crash');
    await this.database.restart();
  }

  private async freeze(frozenMs: number): Promise<void> {
    this.freezes += 1;
    this.journal.note(`database: frozen for ${Math.round(frozenMs)} ms`);
    this.database.freeze();
    await sleep(frozenMs);
    this.database.thaw();
  }

  /** Without the last process of its role that is left in peace: only a kill takes that one. */
  private spared(): Victim[] {
    return this.victims.filter((victim) =>
      this.victims.some(({ role, isBusy }, index) => role === victim.role && !isBusy && this.victims[index] !== victim),
    );
  }

  private pick(victims: readonly Victim[], random: Randomness): Victim | null {
    const free = victims.filter(({ isBusy }) => !isBusy);
    return free.length === 0 ? null : random.pick(free);
  }
}
