import { setTimeout as sleep } from 'node:timers/promises';
import type { Replica } from '../support/cluster';
import type { Deeds } from './deeds';
import type { Findings } from './findings';
import type { Journal } from './journal';

const startTries = 5;
const startPauseMs = 1_000;

/** One place of the installation, and what is done to the processes that run there one after another. */
export class Victim {
  /** True while something is done to it, its replacement included. */
  public isBusy = false;
  private life = 0;
  private isExpectedToEnd = false;
  private isRetired = false;

  public constructor(
    public readonly name: string,
    private readonly replica: Replica,
    private readonly findings: Findings,
    private readonly deeds: Deeds,
    private readonly journal: Journal,
  ) {
    this.watch();
  }

  public get role(): Replica['role'] {
    return this.replica.role;
  }

  /** kill -9, and after a while the next process. */
  public async kill(downMs: number): Promise<void> {
    await this.during('kill', 'kill -9', async () => {
      this.isExpectedToEnd = true;
      await this.replica.kill();
      await sleep(downMs);
      await this.startNext();
    });
  }

  /** SIGTERM, and the next process once this one has shut down. */
  public async replace(): Promise<void> {
    await this.during('replace', 'SIGTERM', async () => {
      this.isExpectedToEnd = true;
      const ending = await this.replica.end('SIGTERM');
      if (ending !== 0) this.findings.add('wrong', `${this.name} ended by SIGTERM with ${ending} instead of 0`);
      await this.startNext();
    });
  }

  /** Stops the process where it is, and lets it go on after a while as if nothing had been. */
  public async pause(pausedMs: number): Promise<void> {
    await this.during('pause', `SIGSTOP for ${Math.round(pausedMs)} ms`, async () => {
      const { pid } = this.replica.service;
      process.kill(pid, 'SIGSTOP');
      await sleep(pausedMs);
      process.kill(pid, 'SIGCONT');
    });
  }

  /** Keeps what its process printed. */
  public keepOutput(): void {
    this.journal.keep(`${this.name}.${this.life}`, this.replica.service.output);
  }

  /** The run is over: its end is nothing to wonder about, and no next process is started. */
  public retire(): void {
    this.isRetired = true;
  }

  private async during(kind: 'kill' | 'replace' | 'pause', what: string, act: () => Promise<void>): Promise<void> {
    this.isBusy = true;
    const done = this.deeds.begin(kind, this.replica.service.pid);
    this.journal.note(`${this.name} (process ${this.replica.service.pid}): ${what}`);
    try {
      await act();
    } catch (error) {
      this.findings.add('stuck', `${this.name} after ${what}: ${String(error)}`);
    } finally {
      done();
      this.isBusy = false;
    }
  }

  private async startNext(): Promise<void> {
    this.keepOutput();
    this.life += 1;
    await this.startPatiently();
    this.journal.note(`${this.name} runs again (process ${this.replica.service.pid})`);
    this.isExpectedToEnd = false;
    this.watch();
  }

  /** As the supervisor of an installation does: a process that the database did not answer at its start is started again. */
  private async startPatiently(): Promise<void> {
    for (let tries = 1; !this.isRetired; tries += 1) {
      const problem = await this.replica.start().then(
        () => null,
        (error: unknown) => String(error),
      );
      if (problem === null) return;
      this.journal.note(`${this.name} did not start: ${problem}`);
      if (tries === startTries) throw new Error(problem);
      await sleep(startPauseMs);
    }
  }

  private watch(): void {
    const { service } = this.replica;
    void service.ended.then((ending) => {
      if (this.isExpectedToEnd || this.isRetired || service !== this.replica.service) return;
      this.findings.add('wrong', `${this.name} ended by itself with ${ending}: ${service.output.slice(-3).join(' ')}`);
    });
  }
}
