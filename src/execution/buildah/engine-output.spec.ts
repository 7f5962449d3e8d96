import { planDockerfile } from './dockerfile-plan';
import { EngineOutput } from './engine-output';

/** Feeds what an engine printed for a Dockerfile and tells what was reported. */
function read(dockerfile: string, printed: string[]) {
  const plan = planDockerfile({ name: 'Dockerfile', text: dockerfile, buildArgs: {}, hereDocuments: true });
  const lines: string[] = [];
  const done: number[] = [];
  const output = new EngineOutput(plan, {
    line: (level, message, step) => void lines.push(`${level} ${step}: ${message}`),
    stepsTotal: () => undefined,
    stepsDone: (count) => void done.push(count),
  });
  for (const text of printed) void output.onLine({ stream: 'stdout', text });
  return { lines, done, output };
}

const two = 'FROM scratch\nRUN a\nRUN b\n';

it('tells each line under its step', () => {
  const { lines, done } = read(two, [
    'STEP 1/3: FROM scratch',
    'STEP 2/3: RUN a',
    'hello',
    'STEP 3/3: RUN b',
    'COMMIT',
  ]);
  expect(lines).toEqual([
    'INFO build 1/3: STEP 1/3: FROM scratch',
    'INFO build 2/3: STEP 2/3: RUN a',
    'INFO build 2/3: hello',
    'INFO build 3/3: STEP 3/3: RUN b',
    'INFO build 3/3: COMMIT',
  ]);
  expect(done).toEqual([0, 1, 2]);
});

it('counts on over the stages that run', () => {
  const { lines, done } = read('FROM scratch AS a\nRUN a\nFROM scratch AS b\nFROM a\nRUN c\n', [
    '[1/3] STEP 1/2: FROM scratch AS a',
    '[1/3] STEP 2/2: RUN a',
    '[3/3] STEP 1/2: FROM 0123',
    '[3/3] STEP 2/2: RUN c',
  ]);
  expect(lines.at(-1)).toBe('INFO build 4/4: [3/3] STEP 2/2: RUN c');
  expect(done).toEqual([0, 1, 2, 3]);
});

it('parts an unfinished line from the step that follows it', () => {
  const { lines } = read(two, ['STEP 1/3: FROM scratch', 'STEP 2/3: RUN a', 'no endSTEP 3/3: RUN b']);
  expect(lines.slice(2)).toEqual(['INFO build 2/3: no end', 'INFO build 3/3: STEP 3/3: RUN b']);
});

it.each([
  ['no endCOMMIT', ['no end', 'COMMIT']],
  ['no end[2/2] COMMIT', ['no end', '[2/2] COMMIT']],
])('parts an unfinished last line from the end of the stage: %s', async (line, expected) => {
  const { lines, output } = read(two, [
    'STEP 1/3: FROM scratch',
    'STEP 2/3: RUN a',
    'STEP 3/3: RUN b',
    line,
    '--> 0123',
  ]);
  await output.end();
  expect(lines.slice(3)).toEqual([...expected, '--> 0123'].map((text) => `INFO build 3/3: ${text}`));
});

it('leaves a line that a RUN ends with COMMIT as it is', async () => {
  const start = ['STEP 1/3: FROM scratch', 'STEP 2/3: RUN a', 'preCOMMIT', 'STEP 3/3: RUN b'];
  const { lines, output } = read(two, [...start, 'my COMMIT', 'COMMIT', '--> 0123', 'my COMMIT']);
  await output.end();
  const texts = lines.map((line) => line.replace(/^INFO build .\/3: /, ''));
  expect(texts).toEqual([...start, 'my COMMIT', 'COMMIT', '--> 0123', 'my COMMIT']);
});

it('takes no step from what a RUN prints, unless it is the very next', () => {
  const { done } = read(two, ['STEP 1/3: FROM scratch', 'STEP 3/3: fake', 'STEP 1/3: fake', '[2/2] STEP 1/3: fake']);
  expect(done).toEqual([0]);
});

it('keeps the levels of the engine’s own messages and errors, and of nothing else', () => {
  const { lines } = read(two, [
    'time="2026-01-01T00:00:00Z" level=warning msg="a \\"quoted\\" word"',
    'time="2026-01-01T00:00:00Z" level=error msg=short',
    'Error: building at STEP "RUN a": while running runtime: exit status 1',
    'Error: printed by a compiler',
    'warning: printed by a compiler',
  ]);
  expect(lines.map((line) => line.replace(' build:', ''))).toEqual([
    'WARN a "quoted" word',
    'ERROR short',
    'ERROR Error: building at STEP "RUN a": while running runtime: exit status 1',
    'INFO Error: printed by a compiler',
    'INFO warning: printed by a compiler',
  ]);
});

describe('the failure', () => {
  const told = (printed: string[], exitCode = 1): string => read(two, printed).output.failure(exitCode).message;
  const begun = ['STEP 1/3: FROM scratch', 'STEP 2/3: RUN a'];

  it('tells the exit code of a RUN', () => {
    const error = 'Error: building at STEP "RUN a": while running runtime: exit status 42';
    expect(told([...begun, error], 42)).toBe('Step 2/3 "RUN a" failed with exit code 42');
  });

  it('is not led astray by what the RUN printed before', () => {
    const error = 'Error: building at STEP "RUN a": while running runtime: exit status 2';
    expect(told([...begun, 'Error: while running runtime: exit status 99', error], 2)).toMatch(/exit code 2$/);
  });

  it('tells why a command did not start', () => {
    const reason = 'exec: \\"/x\\": stat /x: no such file or directory';
    const created = `time="x" level=error msg="runc create failed: unable to start container process: ${reason}"`;
    const error = 'Error: building at STEP "RUN a": while running runtime: exit status 1';
    expect(told([...begun, created, error])).toBe(
      'Step 2/3 "RUN a" failed: exec: "/x": stat /x: no such file or directory',
    );
  });

  it('leaves out the engine’s wrapping, also around quotes', () => {
    const error =
      'Error: building at STEP "COPY "a b" c": checking on sources under "/mnt/x": copier: stat: "/a b": no such file or directory';
    expect(told([...begun, error], 125)).toBe('Step 2/3 "RUN a" failed: "/a b": no such file or directory');
  });

  it('tells the exit code of an engine that said nothing', () => {
    expect(told([], 125)).toBe('The build failed: the build engine ended with exit code 125');
  });

  it('shortens a long instruction', () => {
    expect(told(['STEP 1/3: FROM scratch', `STEP 2/3: RUN ${'x'.repeat(500)}`]).length).toBeLessThan(300);
  });
});
