import { type BuildStatus, retryable, transitions } from '../../../src/builds/build-state';
import { lastLines } from '../driven/driven-run';
import { ownFailure } from '../driven/driven-engine';
import type { Action, Made, Refusal, Seen } from './operation';

/** A build as it should be. */
export interface ModelBuild {
  readonly id: string;
  readonly number: number;
  readonly status: BuildStatus;
  readonly error: string | null;
  readonly retryOf: string | null;
  readonly isClaimed: boolean;
  readonly lease: string | null;
  readonly lines: readonly string[];
  readonly isClosed: boolean;
  readonly isDeleted: boolean;
}

/** A project with its builds as they should be; nothing in it is ever changed, each step makes a new one. */
export interface Model {
  readonly autoStart: boolean;
  readonly isDeleted: boolean;
  readonly builds: readonly ModelBuild[];
}

const conflict: Refusal = '409 CONFLICT';
const absent: Refusal = '404 NOT_FOUND';
const forbidden: Refusal = '403 FORBIDDEN';

export function emptyModel(autoStart: boolean): Model {
  return { autoStart, isDeleted: false, builds: [] };
}

/**
 * The state machine in one place and without concurrency: the model after the action; null when the action could not
 * have had this result.
 */
export function step(model: Model, action: Action): Model | null {
  switch (action.do) {
    case 'create':
      if (model.isDeleted) return action.answer === forbidden ? model : null;
      return make(model, action.answer, null);
    case 'retry':
      return stepRetry(model, action.id, action.answer);
    case 'start':
      return transit(model, action, transitions.start.from, started);
    case 'cancel':
      return transit(model, action, transitions.cancel.from, (build) => cancelled(build, action.reason));
    case 'delete':
      if (find(model, action.id) === null) return action.answer === absent ? model : null;
      return action.answer === 204 ? change(model, action.id, deleted) : null;
    case 'delete project':
      if (model.isDeleted) return action.answer === absent ? model : null;
      return action.answer === 204 ? { ...model, isDeleted: true, builds: model.builds.map(deleted) } : null;
    case 'get':
    case 'status':
      return seen(find(model, action.id), action.answer) ? model : null;
    case 'logs': {
      const build = find(model, action.id);
      return same(action.answer, build === null ? absent : build.lines) ? model : null;
    }
    case 'list': {
      const there = model.builds.filter((build) => !build.isDeleted);
      return same(action.answer, there.map(listed)) ? model : null;
    }
    case 'claim':
    case 'store':
    case 'go on':
    case 'end':
    case 'lose':
      return stepOfWorker(model, action);
  }
}

function stepOfWorker(
  model: Model,
  action: Extract<Action, { readonly do: 'claim' | 'store' | 'go on' | 'end' | 'lose' }>,
): Model | null {
  if (action.do === 'claim') {
    const { answer } = action;
    if (answer === null) return action.wasAlone && model.builds.some(isWaiting) ? null : model;
    const build = model.builds.find(({ id }) => id === answer.id);
    if (build === undefined || !isWaiting(build)) return null;
    return put(model, { ...build, isClaimed: true, lease: answer.token });
  }
  const build = model.builds.find(({ id }) => id === action.lease.id);
  if (build === undefined) return null;
  const isHeld = build.lease === action.lease.token;
  switch (action.do) {
    case 'store': {
      const isTaken = isHeld && !build.isDeleted && !build.isClosed && !action.stored.ended;
      if (!isTaken || action.stored.firstLine !== build.lines.length) return null;
      return put(model, withLines(build, ...action.stored.lines));
    }
    case 'go on':
      return isHeld && build.status === 'in_progress' && !build.isDeleted ? model : null;
    case 'lose':
      return isHeld ? put(model, reaped(build)) : model;
    case 'end': {
      if (action.end === 'gone') {
        if (isHeld && !build.isDeleted) return null;
        return isHeld ? put(model, { ...build, lease: null }) : model;
      }
      const expected = action.end === 'stopped' ? 'cancelled' : 'in_progress';
      if (!isHeld || build.isDeleted || build.isClosed || build.status !== expected) return null;
      if (action.stored?.firstLine !== build.lines.length) return null;
      if (!lastLines[action.end].test(action.stored.lines.at(-1) ?? '')) return null;
      const status = action.end === 'stopped' ? build.status : action.end;
      const error = action.end === 'failed' ? ownFailure : build.error;
      return put(model, {
        ...withLines(build, ...action.stored.lines),
        status,
        error,
        lease: null,
        isClosed: true,
      });
    }
  }
}

function stepRetry(model: Model, id: string, answer: Made | Refusal): Model | null {
  const build = find(model, id);
  if (build === null) return answer === absent ? model : null;
  const isRetried = model.builds.some(
    (other) => other.retryOf === id && !other.isDeleted && ['queued', 'in_progress'].includes(other.status),
  );
  if (build.status !== retryable || isRetried) return answer === conflict ? model : null;
  return make(model, answer, id);
}

/** Numbers go up by one and are never used again. */
function make(model: Model, answer: Made | Refusal, retryOf: string | null): Model | null {
  if (typeof answer === 'string') return null;
  const queued: ModelBuild = {
    id: answer.id,
    number: model.builds.length + 1,
    status: 'queued',
    error: null,
    retryOf,
    isClaimed: false,
    lease: null,
    lines: [],
    isClosed: false,
    isDeleted: false,
  };
  const build = model.autoStart ? started(queued) : queued;
  const isRight = answer.number === build.number && answer.status === build.status;
  return isRight ? { ...model, builds: [...model.builds, build] } : null;
}

function transit(
  model: Model,
  { id, answer }: { readonly id: string; readonly answer: Seen | Refusal },
  from: BuildStatus,
  change: (build: ModelBuild) => ModelBuild,
): Model | null {
  const build = find(model, id);
  if (build === null) return answer === absent ? model : null;
  if (build.status !== from) return answer === conflict ? model : null;
  const after = change(build);
  return seen(after, answer) ? put(model, after) : null;
}

function started(build: ModelBuild): ModelBuild {
  return { ...withLines(build, `Build #${build.number} started`), status: transitions.start.to };
}

function cancelled(build: ModelBuild, reason: string): ModelBuild {
  const asked = `Cancelled by request: ${reason}`;
  const lines = build.lease === null ? [asked, 'Stopped before a worker took it'] : [asked];
  return {
    ...withLines(build, ...lines),
    status: transitions.cancel.to,
    error: reason,
    isClosed: build.lease === null,
  };
}

/** Deletion cancels what runs; its lease stays with the worker until that has stopped it. */
function deleted(build: ModelBuild): ModelBuild {
  const status = build.status === transitions.cancel.from ? transitions.cancel.to : build.status;
  return { ...build, status, isDeleted: true };
}

function reaped(build: ModelBuild): ModelBuild {
  if (build.isDeleted) return { ...build, lease: null };
  if (build.status !== transitions.fail.from)
    return { ...withLines(build, 'Build stopped: its worker was lost'), lease: null, isClosed: true };
  return {
    ...withLines(build, 'Build failed: worker lost'),
    status: transitions.fail.to,
    error: 'worker lost',
    lease: null,
    isClosed: true,
  };
}

function isWaiting(build: ModelBuild): boolean {
  return build.status === 'in_progress' && !build.isClaimed && !build.isDeleted;
}

function withLines(build: ModelBuild, ...lines: readonly string[]): ModelBuild {
  return { ...build, lines: [...build.lines, ...lines] };
}

function find(model: Model, id: string): ModelBuild | null {
  const build = model.builds.find((each) => each.id === id);
  return build === undefined || build.isDeleted ? null : build;
}

function change(model: Model, id: string, how: (build: ModelBuild) => ModelBuild): Model {
  return { ...model, builds: model.builds.map((build) => (build.id === id ? how(build) : build)) };
}

function put(model: Model, build: ModelBuild): Model {
  return change(model, build.id, () => build);
}

function listed({ id, number, status, error }: ModelBuild): Made & Seen {
  return { id, number, status, error };
}

function seen(build: ModelBuild | null, answer: Seen | Refusal): boolean {
  return same(answer, build === null ? absent : { status: build.status, error: build.error });
}

function same(answer: unknown, expected: unknown): boolean {
  return JSON.stringify(answer) === JSON.stringify(expected);
}
