import type { LogLevel } from '../../build-logs/log-entry';
import type { DockerfilePlan } from './dockerfile-plan';
import { BuildFailure, type BuildOutput } from '../image-builder';
import type { OutputLine } from '../process/run-process';

/** What buildah says of itself, by logrus: `time="…" level=warning msg="…"`. */
const engineMessage = /^time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S*)/;
const levels: Readonly<Record<string, LogLevel>> = { debug: 'DEBUG', trace: 'DEBUG', info: 'INFO', warning: 'WARN' };
const engineError = /^Error: (?:building at STEP |creating build container: |committing |.*: no stage or image found)/;
const stepLine = /^(.*?)((?:\[(\d+)\/\d+\] )?STEP (\d+)\/(\d+): (.*))$/;

/** How buildah marks the end of a stage, behind what a RUN printed without a newline. */
const unfinishedCommit = /^(.+?)((?:\[\d+\/\d+\] )?COMMIT)$/;

/** Reads a line of the engine as level and message: its own messages carry their level, all else is information. */
export function readEngineLine(text: string): { readonly level: LogLevel; readonly message: string } {
  const [, level, quoted] = engineMessage.exec(text) ?? [];
  if (level === undefined || quoted === undefined) {
    return { level: engineError.test(text) ? 'ERROR' : 'INFO', message: text };
  }
  return { level: levels[level] ?? 'ERROR', message: unquote(quoted) };
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

/** Follows the output of `buildah build` (its stderr merged into its stdout, so that the order is true). */
export class EngineOutput {
  private stageIndex = -1;
  private step = 0;
  private stepText = '';
  private stepName = 'build';
  private lastError = '';
  private startError = '';
  private held: string | null = null;

  public constructor(
    private readonly plan: DockerfilePlan,
    private readonly output: BuildOutput,
  ) {}

  public readonly onLine = (line: OutputLine): void | Promise<void> => {
    const earlier = this.settle(line.text);
    return earlier === undefined ? this.read(line.text) : earlier.then(() => this.read(line.text));
  };

  /** Call it when the engine has ended: no further line decides what the last one was. */
  public end(): void | Promise<void> {
    return this.settle('');
  }

  private read(text: string): void | Promise<void> {
    if (this.isLastOfStage && unfinishedCommit.test(text)) {
      this.held = text;
      return undefined;
    }
    const [, before = '', marker, stage, step, , instruction = ''] = stepLine.exec(text) ?? [];
    if (marker === undefined || !this.begins(Number(stage ?? 1), Number(step))) return this.write(text);
    // A RUN that ended without a newline shares its last line with the next step's mark.
    const rest = before === '' ? undefined : this.write(before);
    const start = (): void | Promise<void> => {
      this.begin(Number(stage ?? 1), Number(step), instruction);
      return this.output.line('INFO', marker, this.stepName);
    };
    return rest === undefined ? start() : rest.then(start);
  }

  /**
   * A last RUN that ended without a newline shares its last line with the engine's `COMMIT`, and a RUN may print such a
   * line by itself. What follows tells: the engine's own `COMMIT` was in it when the image's id comes next.
   */
  private settle(next: string): void | Promise<void> {
    const { held } = this;
    if (held === null) return undefined;
    this.held = null;
    const [, printed = '', commit = ''] = unfinishedCommit.exec(held) ?? [];
    if (!next.startsWith('--> ')) return this.write(held);
    const last = this.write(printed);
    return last === undefined ? this.write(commit) : last.then(() => this.write(commit));
  }

  /** What to tell the build's owner after the engine ended with an exit code other than 0. */
  public failure(exitCode: number | null): BuildFailure {
    const subject = `Step ${this.done + 1}/${this.plan.stepCount} "${shorten(this.stepText)}"`;
    const runStatus = /while running runtime: exit status (\d+)$/.exec(this.lastError)?.[1];
    if (runStatus !== undefined && this.startError === '') {
      return new BuildFailure(`${subject} failed with exit code ${runStatus}`);
    }
    const reason =
      this.startError || plainReason(this.lastError) || `the build engine ended with exit code ${exitCode ?? 'none'}`;
    return new BuildFailure(`${this.stepText === '' ? 'The build' : subject} failed: ${reason}`);
  }

  private write(text: string): void | Promise<void> {
    const { level, message } = readEngineLine(text);
    if (text.startsWith('Error: ')) this.lastError = text.slice('Error: '.length);
    const notStarted = /runc create failed: unable to start container process: (.*)/.exec(message)?.[1];
    if (notStarted !== undefined) this.startError = notStarted;
    return this.output.line(level, message, this.stepName);
  }

  /** A line that looks like the start of a step counts only where that step is the next one: a RUN may print anything. */
  private begins(stageNumber: number, step: number): boolean {
    const current = this.plan.stages[this.stageIndex];
    if (current?.number === stageNumber && step === this.step + 1) return true;
    return step === 1 && this.plan.stages[this.stageIndex + 1]?.number === stageNumber;
  }

  private begin(stageNumber: number, step: number, instruction: string): void {
    if (this.plan.stages[this.stageIndex]?.number !== stageNumber) this.stageIndex += 1;
    this.step = step;
    this.stepText = instruction;
    this.startError = '';
    this.stepName = `build ${this.done + 1}/${this.plan.stepCount}`;
    this.output.stepsDone(this.done);
  }

  private get isLastOfStage(): boolean {
    return this.step === this.plan.stages[this.stageIndex]?.steps;
  }

  /** Steps before the current one. A base image's ONBUILD adds steps that the plan cannot know: they do not count. */
  private get done(): number {
    const before = this.plan.stages.slice(0, Math.max(this.stageIndex, 0)).reduce((sum, { steps }) => sum + steps, 0);
    const ofStage = this.plan.stages[this.stageIndex]?.steps ?? 0;
    return before + Math.max(Math.min(this.step, ofStage) - 1, 0);
  }
}

/** The engine's words without its wrapping and without paths of the worker. */
function plainReason(error: string): string {
  return error
    .replace(/^building at STEP "(?:[^"\\]|\\.|"(?!: ))*": /, '')
    .replace(/^checking on sources under "[^"]*": copier: stat: /, '')
    .replace(/^creating build container: /, '');
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
