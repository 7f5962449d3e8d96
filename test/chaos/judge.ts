import { setTimeout as sleep } from 'node:timers/promises';
import type { LogEntry } from '../../src/build-logs/log-entry';
import type { LogMessage } from '../e2e/build-logs/log-client';
import type { ResumingFollower } from '../support/resuming-follower';
import type { ChaosDatabase } from './chaos-database';
import type { Deeds } from './deeds';
import type { FindingKind, Findings } from './findings';
import type { LedgerEntry } from './ledger';
import { checkPrinted, isComplete } from './printed-lines';
import { readBuild, type StoredBuild, StoredLog } from './stored-log';

/** How long an ended build may take to have a closed log: its processes get 10 s to end, a lost lease some more. */
const closingMs = 60_000;

/** Holds what is stored of a build against what its client was told, what its follower saw and what its step printed. */
export class Judge {
  public constructor(
    private readonly database: ChaosDatabase,
    private readonly findings: Findings,
    private readonly deeds: Deeds,
    private readonly signal: AbortSignal,
  ) {}

  /** Judges a build that has ended and is not deleted; from then on it must not change. */
  public async seal(entry: LedgerEntry): Promise<void> {
    const build = await this.closed(entry);
    if (build === null) return;
    const log = await StoredLog.read(this.database, entry.id);
    const fault = log.fault(build.total_lines);
    if (fault !== null) this.add(fault.kind, fault.text, entry);
    const { entries } = log;
    this.judgeOutcome(entry, build, entries);
    this.judgeLines(entry, build, entries);
    for (const follower of entry.followers) this.judgeFollower(entry, follower, entries);
    const { status, error_message: message, total_lines: lines } = build;
    entry.sealed = { digest: log.digest, status, message, lines };
  }

  /** Judges what a follower of any build, also of a deleted one, has seen so far. */
  public judgeSeen(entry: LedgerEntry): void {
    for (const { lines } of entry.followers) {
      const { fault } = checkPrinted(entry.mark, lines);
      if (fault !== null) this.add(fault.kind, `a follower: ${fault.text}`, entry);
    }
  }

  private async closed(entry: LedgerEntry): Promise<StoredBuild | null> {
    const deadline = Date.now() + closingMs;
    for (;;) {
      this.signal.throwIfAborted();
      const build = await readBuild(this.database, entry.id);
      if (build === undefined) {
        this.add('lost', 'it is not in the database', entry);
        return null;
      }
      if (build.closed_at !== null && build.lease_token === null) return build;
      if (Date.now() > deadline) {
        const open = build.closed_at === null ? 'its log is open' : 'a worker holds it';
        this.add('stuck', `it is ${build.status}, and after ${closingMs} ms ${open}`, entry);
        return null;
      }
      await sleep(200, undefined, { signal: this.signal });
    }
  }

  private judgeOutcome(entry: LedgerEntry, build: StoredBuild, entries: readonly LogEntry[]): void {
    const { status, outcome, error_message: message } = build;
    const last = entries.at(-1)?.message ?? '';
    if (outcome !== status) this.add('wrong', `it is ${status}, but its log ended as ${outcome ?? 'nothing'}`, entry);
    if (entry.cancelled === 'yes' && status !== 'cancelled') {
      this.add('lost', `its cancellation was acknowledged, but it is ${status}`, entry);
    }
    switch (status) {
      case 'success':
        if (entry.recipe.exitCode !== 0) this.add('wrong', 'it succeeded, although its step fails', entry);
        if (!last.startsWith('Build succeeded')) this.add('lost', `the last line of its log is "${last}"`, entry);
        break;
      case 'failed':
        if (last !== `Build failed: ${message ?? ''}`) this.add('lost', `the last line of its log is "${last}"`, entry);
        if (!this.deeds.explain(message ?? '', build) && !this.failedAsMeant(entry, build)) {
          this.add('wrong', `it failed: ${message ?? 'without a message'}`, entry);
        }
        break;
      case 'cancelled':
        if (entry.cancelled === 'no') this.add('wrong', 'it is cancelled, but nobody asked for that', entry);
        if (!/stopped/i.test(last)) this.add('lost', `the last line of its log is "${last}"`, entry);
        break;
      default:
        this.add('wrong', `its log is closed while it is ${status}`, entry);
    }
  }

  private judgeLines(entry: LedgerEntry, build: StoredBuild, entries: readonly LogEntry[]): void {
    const messages = entries.map(({ message }) => message);
    const printed = checkPrinted(entry.mark, messages);
    if (printed.fault !== null) this.add(printed.fault.kind, `the store: ${printed.fault.text}`, entry);
    if (build.status !== 'success' && !this.failedAsMeant(entry, build)) return;
    if (!isComplete(printed, entry.recipe, messages)) {
      this.add('lost', `it printed ${entry.recipe.lines} lines, and its log has ${printed.count} of them`, entry);
    }
  }

  private judgeFollower(entry: LedgerEntry, { messages }: ResumingFollower, entries: readonly LogEntry[]): void {
    if (messages.length > entries.length) {
      const text = `a follower was sent ${messages.length} lines, and the store has ${entries.length}`;
      this.add('lost', text, entry);
      return;
    }
    for (const [index, stored] of entries.entries()) {
      const message = messages[index];
      if (message !== undefined && isSame(message, stored)) continue;
      const was = message === undefined ? 'nothing' : `"${message.message}"`;
      this.add(
        this.kindOf(index, messages, entries),
        `line ${index} is "${stored.message}", and a follower got ${was}`,
        entry,
      );
      return;
    }
  }

  /** What it means that a follower has another line in this place. */
  private kindOf(index: number, messages: readonly LogMessage[], entries: readonly LogEntry[]): FindingKind {
    const [message, stored] = [messages[index], entries[index]];
    if (message === undefined || stored === undefined) return 'lost';
    if (entries.slice(0, index).some((earlier) => isSame(message, earlier))) return 'doubled';
    return messages.some((each) => isSame(each, stored)) ? 'reordered' : 'lost';
  }

  private failedAsMeant({ recipe }: LedgerEntry, { status, error_message: message }: StoredBuild): boolean {
    const { exitCode } = recipe;
    return status === 'failed' && exitCode !== 0 && message?.endsWith(`failed with exit code ${exitCode}`) === true;
  }

  private add(kind: FindingKind, text: string, { id, recipe }: LedgerEntry): void {
    this.findings.add(kind, `build ${id} (${recipe.name}): ${text}`, id);
  }
}

/** The same line: what is stored is sent with the build's id. */
function isSame({ timestamp, level, message, metadata }: LogMessage, stored: LogEntry): boolean {
  const same = timestamp === stored.timestamp && level === stored.level && message === stored.message;
  return same && JSON.stringify(metadata) === JSON.stringify(stored.metadata);
}
