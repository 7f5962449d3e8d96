import fc from 'fast-check';
import type { Answer } from '../support/caller';
import { operationsOf, resolved, treeAt } from '../support/openapi/document';
import type { Service } from '../support/service';
import { faultsOf } from './judge';
import type { FuzzOptions } from './options';
import { type RequestPlan, requestPlan } from './plan';
import { type ReadyRequest, ready, Sender } from './sender';
import { FuzzWorld } from './world';

const lanes = 24;
const progressMs = 5_000;
const shownCharacters = 600;
const mostFindings = 50;

/** Sends generated requests of every operation to a running service, and holds each answer against what is promised. */
export class Fuzz {
  public readonly findings: string[] = [];
  private readonly statuses = new Map<string, Map<string, number>>();
  private done = 0;

  private constructor(
    private readonly plans: readonly RequestPlan[],
    private readonly world: FuzzWorld,
    private readonly sender: Sender,
  ) {}

  public static async run(options: FuzzOptions, service: Service, say: (text: string) => void): Promise<Fuzz> {
    say(`${options.requests} requests; repeat them with --requests ${options.requests} --seed ${options.seed}`);
    const document = resolved(treeAt(await (await fetch(`${service.url}/api/openapi.json`)).json()));
    const operations = operationsOf(document).filter(({ path }) => !path.startsWith('/health/'));
    const plans = fc.sample(requestPlan(operations), { numRuns: options.requests, seed: options.seed });
    const world = await FuzzWorld.make(service);
    const sender = new Sender(Number(new URL(service.url).port));
    const fuzz = new Fuzz(plans, world, sender);
    const begun = performance.now();
    const telling = setInterval(() => {
      say(`${fuzz.done} requests, ${fuzz.findings.length} findings`);
    }, progressMs);
    try {
      await fuzz.sendAll();
    } finally {
      clearInterval(telling);
      sender.close();
    }
    const seconds = (performance.now() - begun) / 1_000;
    say(`${fuzz.done} requests in ${seconds.toFixed(1)} s, ${Math.round(fuzz.done / seconds)} a second`);
    return fuzz;
  }

  /** The operations that never succeeded. */
  public get barren(): string[] {
    return [...this.statuses]
      .filter(([, statuses]) => ![...statuses.keys()].some((status) => /^(?:1|2)\d\d$/.test(status)))
      .map(([id]) => id);
  }

  /** Each operation with the statuses that were answered, and how often. */
  public get table(): string {
    return [...this.statuses]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, statuses]) => {
        const counts = [...statuses].sort(([a], [b]) => (a < b ? -1 : 1));
        return `${id.padEnd(20)} ${counts.map(([status, count]) => `${status}: ${count}`).join('  ')}`;
      })
      .join('\n');
  }

  private async sendAll(): Promise<void> {
    const before = await this.world.bystanderRows();
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let index = next++; index < this.plans.length; index = next++) {
        if (this.findings.length >= mostFindings) return;
        await this.sendOne(index);
        this.done += 1;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    for (const actor of await this.world.shutOut()) this.findings.push(`The credential of ${actor} is good no more`);
    for (const [table, rows] of await this.world.bystanderRows()) {
      if (rows === before.get(table)) continue;
      this.findings.push(
        `Rows of a tenant who did nothing have changed in ${table}: ${before.get(table) ?? ''} to ${rows}`,
      );
    }
  }

  private async sendOne(index: number): Promise<void> {
    const plan = this.plans[index];
    if (plan === undefined) return;
    const request = ready(plan, this.world);
    try {
      const answer = await this.sender.send(plan, request);
      for (const fault of this.judge(plan, request, answer))
        this.find(index, plan, request, `${fault}; ${shown(answer)}`);
    } catch (error) {
      this.find(index, plan, request, `no answer: ${String(error)}`);
    }
  }

  private judge(plan: RequestPlan, request: ReadyRequest, answer: Answer | null): string[] {
    const { operation, actor, mutation } = plan;
    this.count(operation.id, answer);
    // Who sends half a request may see the connection closed without an answer.
    if (answer === null) return mutation === null ? ['the connection was closed without an answer'] : [];
    const { status, text } = answer;
    const sent = `${request.path} ${JSON.stringify(request.headers)} ${request.body ?? ''}`;
    // Who knows the password, as that of the example which an admin made, is that user from then on.
    const isSignIn = ['login', 'refresh'].includes(operation.id) && status === 200;
    if (isSignIn) this.world.signedIn(answer.body);
    const shownIds = isSignIn ? [] : this.world.leaks(actor, text, sent, operation.id === 'listAuditEvents');
    const leaks = shownIds.map((what) => `it shows ${what}, which is another tenant's`);
    if (mutation !== null) return status >= 500 ? [`status ${status}`, ...leaks] : leaks;
    if (status === 201) this.world.made(actor, operation.path.split('/')[1] ?? '', answer.body);
    return [...leaks, ...faultsOf(operation, answer, request.isRouted)];
  }

  private count(id: string, answer: Answer | null): void {
    const counts = this.statuses.get(id) ?? new Map<string, number>();
    const status = String(answer?.status ?? 'none');
    counts.set(status, (counts.get(status) ?? 0) + 1);
    this.statuses.set(id, counts);
  }

  private find(index: number, { operation, actor, mutation }: RequestPlan, request: ReadyRequest, what: string): void {
    const { method, path, headers, body } = request;
    const others = { ...headers, Authorization: undefined };
    const parts = [
      `${method} ${path}`,
      JSON.stringify(others),
      body ?? '',
      mutation === null ? '' : JSON.stringify(mutation),
    ];
    this.findings.push(
      `#${index} ${operation.id} by ${actor}: ${what}\n    ${parts.join(' ').slice(0, shownCharacters)}`,
    );
  }
}

function shown(answer: Answer | null): string {
  return answer === null ? '' : `${answer.status} ${answer.text.slice(0, shownCharacters)}`;
}
