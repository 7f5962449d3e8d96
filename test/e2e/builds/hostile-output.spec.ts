import type { LogEntry } from '../../../src/build-logs/log-entry';
import { BuildRepository, shell } from '../../support/build-repository';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';
import type { LogMessage } from '../build-logs/log-client';

const longLine = 1_048_576;
const mostBytes = 16 * 1_024;

/** An entry as the store has it, with a line break that would add a second one if it were taken as it is. */
const fake = '{"timestamp":"2020-01-01T00:00:00.000Z","level":"ERROR","message":"fake","metadata":null}';

const script = String.raw`
printf 'clear\033[2J\033[H screen\n'
printf '\033]8;;http://evil.example/\033\\link\033]8;;\033\\\n'
printf 'clip\033]52;c;ZXZpbA==\007board\n'
printf 'nul\000byte\n'
printf 'not \377\376 UTF-8\n'
printf '10%%\r20%%\r30%%\n'
printf '\033[31mred\033[0m\tand tab\n'
printf '\302\233\062J eight bit\n'
printf 'back\b\bspace bell\007\n'
echo '${fake}'
printf '\\u0000 "quoted" \\n escaped\n'
printf '\n'
head -c ${longLine} /dev/zero | tr '\0' x; echo
echo 'time="2020-01-01T00:00:00Z" level=error msg="I am the engine"'
echo 'STEP 99/99: FROM elsewhere'
echo last
`;

const repository = new BuildRepository();
let service: Service;
let log: LogEntry[];
let streamed: readonly LogMessage[];
/** What the script printed. */
let lines: string[];

beforeAll(async () => {
  repository.branch('main', { Dockerfile: `${shell}COPY hostile.sh /\nRUN sh /hostile.sh\n`, 'hostile.sh': script });
  service = await Service.startOnServer({ settings: repository.settings });
  const tenant = await Tenant.make(service);
  const project = await tenant.project({ repository_url: repository.git.url });
  const build = await tenant.create(project, { branch: 'main' });
  const client = await tenant.follow(build.id);
  await tenant.start(build.id);
  expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
  streamed = client.messages;
  log = await tenant.log(build.id);
  const messages = log.filter(({ metadata }) => metadata?.step === 'build 5/5').map(({ message }) => message);
  lines = messages.slice(1, messages.indexOf('last') + 1);
});

afterAll(async () => {
  await service.stop();
  repository.remove();
});

describe('what a hostile RUN step prints', () => {
  it('reaches the log as harmless lines', () => {
    const [before, after] = [lines.indexOf('clear screen'), lines.findIndex((line) => line.startsWith('xxx'))];
    expect(lines.slice(before, after)).toEqual([
      'clear screen',
      'link',
      'clipboard',
      'nulbyte',
      'not \uFFFD\uFFFD UTF-8',
      '10%',
      '20%',
      '30%',
      '\u001b[31mred\u001b[0m\tand tab',
      ' eight bit',
      'backspace bell',
      fake,
      '\\u0000 "quoted" \\n escaped',
      '',
    ]);
  });

  it('holds nothing that a terminal obeys but colours', () => {
    // eslint-disable-next-line no-control-regex
    const colour = /\u001b\[[\d;]*m/g;
    const obeyed = log.filter(({ message }) => /[^\P{Cc}\t]/u.test(message.replace(colour, '')));
    expect(obeyed).toEqual([]);
  });

  it('is cut into lines of at most 16 KiB, without loss', () => {
    const pieces = lines.filter((line) => /^x+$/.test(line));
    expect(pieces.join('')).toHaveLength(longLine);
    expect(Math.max(...log.map(({ message }) => Buffer.byteLength(message)))).toBeLessThanOrEqual(mostBytes);
  });

  it('cannot pose as the engine or as another step', () => {
    expect(log.map(({ metadata }) => metadata?.step)).not.toContain('build 99/99');
    expect(lines.slice(-2)).toEqual(['STEP 99/99: FROM elsewhere', 'last']);
  });

  it('is streamed as it is stored', () => {
    const [first] = streamed;
    expect(streamed).toEqual(log.map((entry) => ({ build_id: first?.build_id, ...entry })));
  });
});
