import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Series } from './series';
import { wallClockMs } from './wall-clock';

/** The least that a wake-up takes, in ms: a bare NOTIFY here, and in another process the LISTEN for it and one SELECT. */
export async function bareWakes(databaseUrl: string, samples: number, pauseMs: number): Promise<Series> {
  const program = path.join(__dirname, '..', 'floors', 'bare-wake');
  const listener = fork(program, [databaseUrl], { execArgv: process.execArgv });
  const sender = new Client({ connectionString: databaseUrl });
  try {
    await Promise.all([sender.connect(), once(listener, 'message')]);
    const delays: number[] = [];
    for (let sample = 0; sample < samples; sample += 1) {
      const sentAt = wallClockMs();
      const [, told] = await Promise.all([sender.query('NOTIFY bench'), once(listener, 'message')]);
      delays.push(Number(told[0]) - sentAt);
      await sleep(pauseMs);
    }
    return new Series(delays);
  } finally {
    await sender.end();
    listener.kill();
  }
}
