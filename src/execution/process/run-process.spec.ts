import { runProcess, type OutputLine, type RunOptions } from './run-process';

const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' };

async function run(script: string, options: Partial<RunOptions> = {}) {
  const lines: OutputLine[] = [];
  const result = await runProcess(['sh', '-c', script], {
    env,
    onLine: (line) => {
      lines.push(line);
    },
    ...options,
  });
  return { ...result, lines, texts: lines.map(({ text }) => text) };
}

describe('runProcess', () => {
  it('delivers both streams and the exit code', async () => {
    const { lines, exitCode, signal } = await run('echo out; echo problem >&2; printf "no newline"; exit 7');
    expect({ exitCode, signal }).toEqual({ exitCode: 7, signal: null });
    expect(lines.filter(({ stream }) => stream === 'stdout').map(({ text }) => text)).toEqual(['out', 'no newline']);
    expect(lines.filter(({ stream }) => stream === 'stderr').map(({ text }) => text)).toEqual(['problem']);
  });

  it('tells the signal that ended the child', async () => {
    expect(await run('kill -9 $$')).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
  });

  it('gives the child this environment and nothing else', async () => {
    const { texts } = await run('env', { env: { ...env, COLOUR: 'green' } });
    expect(texts).toContain('COLOUR=green');
    expect(texts.filter((text) => !/^(PATH|COLOUR|PWD|_|OLDPWD|SHLVL)=/.test(text))).toEqual([]);
  });

  it('runs in the directory, with the input', async () => {
    expect((await run('pwd; cat', { cwd: '/', stdin: 'given' })).texts).toEqual(['/', 'given']);
  });

  it('takes arguments as they are', async () => {
    const texts: string[] = [];
    await runProcess(['printf', '%s', '$(id); `id` "quoted" *'], { env, onLine: ({ text }) => void texts.push(text) });
    expect(texts).toEqual(['$(id); `id` "quoted" *']);
  });

  it('does not mind a child that does not read its input', async () => {
    expect(await run('exit 0', { stdin: 'x'.repeat(1_000_000) })).toMatchObject({ exitCode: 0 });
  });

  it('names the command that cannot be started', async () => {
    await expect(runProcess(['no-such-command-here'], { env })).rejects.toThrow(/"no-such-command-here"/);
    await expect(runProcess(['true'], { env, cwd: '/no/such/directory' })).rejects.toThrow(/"true"/);
  });

  it('does not start anything for a signal that is aborted already', async () => {
    const lines: string[] = [];
    const signal = AbortSignal.abort(new Error('cancelled'));
    const running = runProcess(['echo', 'started'], { env, signal, onLine: ({ text }) => void lines.push(text) });
    await expect(running).rejects.toThrow('cancelled');
    expect(lines).toEqual([]);
  });

  it('rejects with the very reason of the signal', async () => {
    const reason = { kind: 'no Error' };
    const abort = new AbortController();
    const running = runProcess(['sleep', '600'], { env, signal: abort.signal });
    setTimeout(() => {
      abort.abort(reason);
    }, 50);
    await expect(running).rejects.toBe(reason);
  });

  it('rejects with the error of a receiver, and the child is gone', async () => {
    let pid = 0;
    const running = runProcess(['sh', '-c', 'echo $$; exec sleep 600'], {
      env,
      onLine: ({ text }) => {
        pid = Number(text);
        throw new Error('log is closed');
      },
    });
    await expect(running).rejects.toThrow('log is closed');
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
