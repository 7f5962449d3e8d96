import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogEntry } from '../../../src/build-logs/log-entry';
import { BuildRepository } from '../../support/build-repository';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';
import { waitUntil } from '../../support/wait-until';
import type { LogMessage } from '../build-logs/log-client';

const count = 20_000;
const parts = 40;
const perPart = count / parts;
const unfinished = 'a line that goes on';
const last = 'the end has no newline';

const repository = new BuildRepository();
let service: Service;
let tenant: Tenant;
let buildId: string;
let log: LogEntry[];
/** What each of two clients received that drop their connections at random, and how often each did. */
let dropping: { readonly messages: readonly LogMessage[]; readonly drops: number }[];
let steady: readonly LogMessage[];
let unfinishedCameWhile: string;

/** Follows a build to its end by connections that are cut, each resumed by the number of lines received. */
async function followBadly(): Promise<{ readonly messages: readonly LogMessage[]; readonly drops: number }> {
  const messages: LogMessage[] = [];
  for (let drops = 0; ; drops += 1) {
    const client = await tenant.follow(buildId, messages.length);
    const cut = sleep(randomInt(10, 250)).then(() => {
      client.socket.terminate();
    });
    const { code } = await client.closed;
    await cut;
    messages.push(...client.messages);
    if (code === 1000) return { messages, drops };
  }
}

beforeAll(async () => {
  const part = `seq $((part * ${perPart} + 1)) $((part * ${perPart} + ${perPart})); sleep 0.1`;
  repository.script(
    'main',
    `RUN for part in $(seq 0 ${parts - 1}); do ${part}; done`,
    `RUN printf '${unfinished}'; sleep 2; printf '\\n${last}'`,
    'RUN true',
  );
  service = await Service.startOnServer({ settings: repository.settings });
  tenant = await Tenant.make(service);
  const project = await tenant.project({ repository_url: repository.git.url });
  const build = await tenant.create(project, { branch: 'main' });
  buildId = build.id;
  const client = await tenant.follow(buildId);
  await tenant.start(buildId);
  const both = Promise.all([followBadly(), followBadly()]);
  await waitUntil(() => client.lines.includes(unfinished), 60_000);
  unfinishedCameWhile = (await tenant.build(buildId)).status;
  expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
  steady = client.messages;
  dropping = await both;
  log = await tenant.log(buildId);
}, 120_000);

afterAll(async () => {
  await service.stop();
  repository.remove();
});

const withId = (entries: readonly LogEntry[]): LogMessage[] =>
  entries.map((entry) => ({ build_id: buildId, ...entry }));

describe(`a build that prints ${count} lines`, () => {
  it('has every line once, in order', () => {
    const numbers = log.map(({ message }) => message).filter((line) => /^\d+$/.test(line));
    expect(numbers).toEqual(Array.from({ length: count }, (_, index) => String(index + 1)));
  });

  it('has the same pages of every size and place', async () => {
    for (const [offset, limit] of [
      [0, 1],
      [count - 3, 1_000],
      [7_777, 777],
      [log.length - 1, 5],
      [log.length, 5],
    ] as const) {
      const answer = await tenant.caller.get(`/builds/${buildId}/logs?offset=${offset}&limit=${limit}`);
      expect(answer.expect(200)).toEqual({
        build_id: buildId,
        logs: log.slice(offset, offset + limit),
        total_lines: log.length,
        offset,
        limit,
      });
    }
  });

  it('is received whole by one who keeps the connection', () => {
    expect(steady).toEqual(withId(log));
  });

  it('is received whole by two who lose it again and again at once', () => {
    for (const { messages, drops } of dropping) {
      expect(drops).toBeGreaterThan(5);
      expect(messages).toEqual(withId(log));
    }
  });

  it('is replayed to one who comes late', async () => {
    const client = await tenant.follow(buildId);
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    expect(client.messages).toEqual(withId(log));
    const tail = await tenant.follow(buildId, log.length - 10);
    await tail.closed;
    expect(tail.messages).toEqual(withId(log.slice(-10)));
  });

  it('shows an unfinished line while it is unfinished, and the last one without a newline', () => {
    expect(unfinishedCameWhile).toBe('in_progress');
    const ofStep = log.filter(({ metadata }) => metadata?.step === 'build 5/6').map(({ message }) => message);
    expect(ofStep.slice(1)).toEqual([unfinished, last]);
  });
});
