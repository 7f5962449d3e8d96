import type { BuildLogsDto } from '../../../src/build-logs/build-logs.dto';
import type { BuildStatusDto } from '../../../src/build-status/build-status.dto';
import type { BuildDto, BuildListDto } from '../../../src/builds/build.dto';
import type { Answer, Caller } from '../../support/caller';
import type { Action, Made, Refusal, Seen } from './operation';

/** A client of one replica, whose requests come back as actions of the model. */
export class ModelClient {
  public constructor(
    private readonly caller: Caller,
    private readonly projectId: string,
  ) {}

  public async create(): Promise<Action> {
    const request = { project_id: this.projectId, git_branch: 'main' };
    return { do: 'create', answer: made(await this.caller.post('/builds', request), 201) };
  }

  public async retry(id: string): Promise<Action> {
    return { do: 'retry', id, answer: made(await this.caller.post(`/builds/${id}/retry`), 200) };
  }

  public async start(id: string): Promise<Action> {
    return { do: 'start', id, answer: seen(await this.caller.post(`/builds/${id}/start`)) };
  }

  public async cancel(id: string, reason: string): Promise<Action> {
    return { do: 'cancel', id, reason, answer: seen(await this.caller.post(`/builds/${id}/cancel`, { reason })) };
  }

  public async delete(id: string): Promise<Action> {
    return { do: 'delete', id, answer: gone(await this.caller.delete(`/builds/${id}`)) };
  }

  public async deleteProject(): Promise<Action> {
    return { do: 'delete project', answer: gone(await this.caller.delete(`/projects/${this.projectId}`)) };
  }

  public async get(id: string): Promise<Action> {
    return { do: 'get', id, answer: seen(await this.caller.get(`/builds/${id}`)) };
  }

  public async status(id: string): Promise<Action> {
    const answer = await this.caller.get<BuildStatusDto>(`/builds/${id}/status`);
    if (answer.status !== 200) return { do: 'status', id, answer: refusal(answer) };
    const { status, error } = answer.body;
    return { do: 'status', id, answer: { status, error: error ?? null } };
  }

  public async logs(id: string): Promise<Action> {
    const answer = await this.caller.get<BuildLogsDto>(`/builds/${id}/logs?limit=1000`);
    if (answer.status !== 200) return { do: 'logs', id, answer: refusal(answer) };
    const lines = answer.body.logs.map(({ message }) => message.replace(/ started; waiting .*$/, ' started'));
    if (lines.length !== answer.body.total_lines) throw new Error(`${lines.length} lines are not all: ${answer.text}`);
    return { do: 'logs', id, answer: lines };
  }

  public async list(): Promise<Action> {
    const query = `project_id=${this.projectId}&limit=100&sort_by=build_number&sort_order=asc`;
    const { builds } = (await this.caller.get<BuildListDto>(`/builds?${query}`)).expect(200);
    return { do: 'list', answer: builds.map((build) => ({ ...madeOf(build), error: build.error_message })) };
  }
}

function refusal(answer: Answer): Refusal {
  return `${answer.status} ${answer.error.code}`;
}

function gone(answer: Answer): 204 | Refusal {
  return answer.status === 204 ? 204 : refusal(answer);
}

function seen(answer: Answer<BuildDto>): Seen | Refusal {
  if (answer.status !== 200) return refusal(answer);
  return { status: answer.body.status, error: answer.body.error_message };
}

function made(answer: Answer<BuildDto>, status: number): Made | Refusal {
  return answer.status === status ? madeOf(answer.body) : refusal(answer);
}

function madeOf({ id, build_number, status }: BuildDto): Made {
  return { id, number: build_number, status };
}
