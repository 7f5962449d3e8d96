import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { OwnEnd } from '../driven/driven-engine';
import type { DrivenRun, Stored } from '../driven/driven-run';
import type { DrivenWorker } from '../driven/driven-worker';
import type { Claim } from '../../../src/execution/build-queue.repository';
import type { Command, Play, Stage } from './command';
import type { ModelClient } from './model-client';
import { type Action, History, type Lease } from './operation';

/** One play on one project: what is done goes to the service, and what comes of it into the history. */
export class Session {
  public readonly history = new History();
  private readonly ids: string[] = [];
  private readonly runs = new Map<string, DrivenRun>();
  private readonly endings: Promise<void>[] = [];
  /** When a line was printed. */
  private readonly printed = new Map<string, number>();

  public constructor(
    private readonly clients: readonly ModelClient[],
    private readonly worker: DrivenWorker,
  ) {
    worker.onStored = (claim, stored) => {
      this.store(claim, stored);
    };
  }

  /** Brings the builds to their stages, and then lets all clients go at once. */
  public async play({ stages, clients }: Play): Promise<void> {
    for (const stage of stages) await this.prepare(stage);
    const isAlone = clients.length === 1;
    await Promise.all(
      clients.map(async (commands, index) => {
        for (const command of commands) {
          if (command.pauseMs > 0) await sleep(command.pauseMs);
          await this.obey(command, this.client(index), isAlone);
        }
      }),
    );
  }

  /** Ends all that runs, half of it as lost with a worker that comes back, and reads everything from everywhere. */
  public async drain(): Promise<void> {
    for (const [index, run] of [...this.runs.values()].entries()) {
      if (!run.hasEnded && index % 2 === 0) await this.lose(run);
      await this.finish(run, 'success');
    }
    for (let run = await this.claim(true); run !== null; run = await this.claim(true)) await this.finish(run, 'failed');
    await Promise.all(this.endings);
    await Promise.all(this.clients.map((client) => this.readAll(client)));
  }

  private async readAll(client: ModelClient): Promise<void> {
    const reads = this.ids.flatMap((id) => [() => client.get(id), () => client.status(id), () => client.logs(id)]);
    await Promise.all([() => client.list(), ...reads].map((read) => this.history.record(read)));
  }

  private async prepare(stage: Stage): Promise<void> {
    const client = this.client(0);
    const id = await this.make(() => client.create());
    if (stage === 'queued' || id === null) return;
    await this.history.record(() => client.start(id));
    if (stage === 'waiting') return;
    const run = await this.claim(false);
    if (run === null || stage === 'running') return;
    if (stage === 'stopping') await this.history.record(() => client.cancel(id, 'before'));
    else await this.finish(run, stage);
  }

  private async obey(command: Command, client: ModelClient, isAlone: boolean): Promise<void> {
    switch (command.do) {
      case 'create':
        await this.make(() => client.create());
        return;
      case 'list':
        await this.history.record(() => client.list());
        return;
      case 'claim':
        await this.claim(isAlone);
        return;
      case 'delete project':
        await this.history.record(() => client.deleteProject());
        return;
      case 'start':
      case 'cancel':
      case 'retry':
      case 'delete':
      case 'get':
      case 'status':
      case 'logs':
      case 'write':
      case 'finish':
      case 'check':
      case 'lose': {
        const id = this.ids[command.build % this.ids.length];
        if (id !== undefined) await this.obeyOn(id, command, client);
      }
    }
  }

  private async obeyOn(
    id: string,
    command: Extract<Command, { readonly build: number }>,
    client: ModelClient,
  ): Promise<void> {
    const run = this.runs.get(id);
    switch (command.do) {
      case 'retry':
        await this.make(() => client.retry(id));
        return;
      case 'cancel':
        await this.history.record(() => client.cancel(id, `at ${this.history.tick()}`));
        return;
      case 'start':
      case 'delete':
      case 'get':
      case 'status':
      case 'logs': {
        const request = command.do;
        await this.history.record(() => client[request](id));
        return;
      }
      case 'write':
        await this.write(run);
        return;
      case 'check':
        await this.check(run);
        return;
      case 'lose':
        await this.lose(run);
        return;
      case 'finish':
        await this.finish(run, command.how);
    }
  }

  private client(index: number): ModelClient {
    const client = this.clients[index % this.clients.length];
    if (client === undefined) throw new Error('A session has clients');
    return client;
  }

  private async make(request: () => Promise<Action>): Promise<string | null> {
    const action = await this.history.record(request);
    if (!('answer' in action) || action.answer === null || typeof action.answer !== 'object') return null;
    if (!('number' in action.answer)) return null;
    this.ids.push(action.answer.id);
    return action.answer.id;
  }

  private async claim(wasAlone: boolean): Promise<DrivenRun | null> {
    const from = this.history.tick();
    const claim = await this.worker.take();
    this.history.add(from, { do: 'claim', answer: claim === null ? null : leaseOf(claim), wasAlone });
    if (claim === null) return null;
    this.printed.set(claim.id, this.history.tick());
    const run = await this.worker.run(claim);
    this.runs.set(run.id, run);
    this.endings.push(this.watch(run));
    return run;
  }

  /** The record lies between the end of the engine and that of the run. */
  private async watch(run: DrivenRun): Promise<void> {
    await run.settled();
    const from = this.history.tick();
    await run.ended;
    const stored = run.stored.find(({ ended }) => ended) ?? null;
    this.history.add(from, { do: 'end', lease: leaseOf(run.claim), end: run.end, stored });
  }

  /** A flush lies between the printing of its first line and its acknowledgement; the last one belongs to the end. */
  private store(claim: Claim, stored: Stored): void {
    if (stored.ended) return;
    const from = this.printed.get(stored.lines[0] ?? '') ?? this.printed.get(claim.id) ?? 0;
    this.history.add(from, { do: 'store', lease: leaseOf(claim), stored });
  }

  private async write(run: DrivenRun | undefined): Promise<void> {
    if (run === undefined || run.hasEnded) return;
    const from = this.history.tick();
    const lines = [`line ${from}`, `line ${from}, too`];
    for (const line of lines) this.printed.set(line, from);
    await run.write(...lines);
  }

  private async finish(run: DrivenRun | undefined, how: OwnEnd): Promise<void> {
    await run?.finish(how);
  }

  private async check(run: DrivenRun | undefined): Promise<void> {
    if (run === undefined || run.hasEnded) return;
    const from = this.history.tick();
    await run.check();
    // A run that let its lease go has ended, and asked nobody; it says so within this turn.
    await turn();
    if (!run.isOver) this.history.add(from, { do: 'go on', lease: leaseOf(run.claim) });
  }

  private async lose(run: DrivenRun | undefined): Promise<void> {
    if (run === undefined) return;
    await this.history.record(async () => {
      await this.worker.lose(run.claim);
      return { do: 'lose', lease: leaseOf(run.claim) };
    });
  }
}

function leaseOf({ id, token }: Claim): Lease {
  return { id, token };
}
