// The floor of waking another process: tells when it has been notified and has read a row.
import { Client } from 'pg';
import { wallClockMs } from '../harness/wall-clock';

async function main(): Promise<void> {
  const [listener, reader] = [1, 2].map(() => new Client({ connectionString: process.argv[2] }));
  if (listener === undefined || reader === undefined) return;
  await Promise.all([listener.connect(), reader.connect()]);
  listener.on('notification', () => {
    void reader.query('SELECT 1').then(() => process.send?.(wallClockMs()));
  });
  await listener.query('LISTEN bench');
  process.send?.('listening');
}

void main();
