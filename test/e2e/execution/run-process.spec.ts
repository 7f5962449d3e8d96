import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcess, type RunOptions } from '../../../src/execution/process/run-process';
import { SecretMask } from '../../../src/execution/process/secret-mask';

const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' };

interface Delivery {
  readonly text: string;
  readonly afterMs: number;
}

/** Starts a shell script; `said(text)` waits for a line and gives what follows the text in it. */
function start(script: string, options: Partial<RunOptions> = {}) {
  const started = performance.now();
  const lines: Delivery[] = [];
  const running = runProcess(['sh', '-c', script], {
    env,
    onLine: ({ text }) => {
      lines.push({ text, afterMs: performance.now() - started });
    },
    ...options,
  });
  running.catch(() => undefined);
  const said = async (text: string): Promise<string> => {
    for (;;) {
      const line = lines.find((delivery) => delivery.text.startsWith(text));
      if (line !== undefined) return line.text.slice(text.length);
      await sleep(10);
    }
  };
  return {
    running,
    lines,
    said,
    texts: () => lines.map(({ text }) => text),
    elapsed: () => performance.now() - started,
  };
}

/** A zombie is dead: where process 1 does not reap orphans, it stays for ever. */
function isAlive(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('runProcess, the process tree', () => {
  it('ends by TERM what obeys it, with its last words', async () => {
    const abort = new AbortController();
    const { running, said, texts, elapsed } = start(
      'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.05; done',
      {
        signal: abort.signal,
      },
    );
    await said('ready');
    abort.abort(new Error('cancelled by a person'));
    await expect(running).rejects.toThrow('cancelled by a person');
    expect(texts()).toContain('bye');
    expect(elapsed()).toBeLessThan(5_000);
  });

  it('ends by KILL what does not, and not before its time', async () => {
    const abort = new AbortController();
    const { running, said } = start('trap "" TERM; echo "pid $$"; while :; do sleep 0.1; done', {
      signal: abort.signal,
      killAfterMs: 500,
    });
    const pid = await said('pid ');
    const aborted = performance.now();
    abort.abort(new Error('too slow'));
    await expect(running).rejects.toThrow('too slow');
    expect(performance.now() - aborted).toBeGreaterThan(450);
    expect(isAlive(pid)).toBe(false);
  });

  it('ends descendants that left the process group or the session', async () => {
    const abort = new AbortController();
    const deaf = `trap "" TERM HUP INT; echo "deaf $$"; while :; do sleep 0.1; done`;
    const { running, said } = start(
      `setsid sh -c 'echo "session $$"; sleep 600' & setsid sh -c '${deaf}' & (sleep 600 & echo "orphan $!"); wait`,
      { signal: abort.signal, killAfterMs: 300 },
    );
    const pids = [await said('session '), await said('deaf '), await said('orphan ')];
    expect(pids.map(isAlive)).toEqual([true, true, true]);
    abort.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    expect(pids.map(isAlive)).toEqual([false, false, false]);
  });

  it('ends what a finished child leaves running, also when it holds the pipe', async () => {
    const { running, said, elapsed } = start('sleep 600 & echo "left $!"; exit 4');
    expect(await running).toEqual({ exitCode: 4, signal: null });
    expect(isAlive(await said('left '))).toBe(false);
    expect(elapsed()).toBeLessThan(6_000);
  });

  it('lets what a finished child leaves running write its last lines', async () => {
    const { running, texts } = start('(sleep 0.7; echo late) & echo early');
    await running;
    expect(texts()).toEqual(['early', 'late']);
  });

  it('does not wait for a process that hid and holds the pipe', async () => {
    const hidden = 'setsid sh -c "sleep 0.2; echo \\$\\$; exec sleep 600" & exit 0';
    const { running, lines, elapsed } = start(`(${hidden}) & sleep 0.1`);
    try {
      expect(await running).toEqual({ exitCode: 0, signal: null });
      expect(elapsed()).toBeLessThan(8_000);
    } finally {
      for (const { text } of lines) if (isAlive(text)) process.kill(Number(text), 'SIGKILL');
    }
  });

  it('rejects with the reason when the abort comes between the end of the child and of its output', async () => {
    const abort = new AbortController();
    const { running, said } = start('sleep 600 & echo "left $!"', { signal: abort.signal });
    const pid = await said('left ');
    await sleep(300);
    abort.abort(new Error('lease lost'));
    await expect(running).rejects.toThrow('lease lost');
    expect(isAlive(pid)).toBe(false);
  });
});

describe('runProcess, the way of the lines', () => {
  it('delivers an unfinished line after a short silence, and what follows as another', async () => {
    const { running, lines } = start('printf "Working "; sleep 1.2; printf "."; printf "."; sleep 1.2; echo " done"');
    await running;
    expect(lines.map(({ text }) => text)).toEqual(['Working ', '..', ' done']);
    expect(lines[0]?.afterMs).toBeLessThan(1_100);
  });

  it('does not read on while the receiver is behind', async () => {
    let answer = (): void => undefined;
    let received = 0;
    let finished = false;
    const { running } = start('seq 1 300000; echo finished >&2', {
      onLine: ({ stream }) => {
        if (stream === 'stderr') finished = true;
        else received += 1;
        if (received !== 1) return undefined;
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    await sleep(700);
    expect({ received, finished }).toEqual({ received: 1, finished: false });
    answer();
    await running;
    expect({ received, finished }).toEqual({ received: 300_000, finished: true });
  });

  it('loses no line of a slow receiver after the child has ended', async () => {
    const received: string[] = [];
    await runProcess(['seq', '1', '5000'], {
      env,
      onLine: async ({ text }) => {
        received.push(text);
        if (received.length % 1_000 === 0) await sleep(900);
      },
    });
    expect(received).toEqual(Array.from({ length: 5_000 }, (_, index) => String(index + 1)));
  });

  it('settles after an abort although the receiver never answers', async () => {
    const abort = new AbortController();
    const { running } = start('yes', {
      signal: abort.signal,
      killAfterMs: 200,
      onLine: () => new Promise(() => undefined),
    });
    await sleep(200);
    abort.abort(new Error('the log is gone'));
    await expect(running).rejects.toThrow('the log is gone');
  });

  it('masks a secret that is written in two pieces, with a silence between', async () => {
    const mask = new SecretMask(['correct horse']);
    const { running, texts } = start('printf "is correct ho"; sleep 0.9; echo "rse!"', { mask });
    await running;
    expect(texts()).toEqual(['is ', '***!']);
  });
});
