// The floor of storing output: a process's lines, 1000 at a time, by a bare COPY into a table of a row a line. They are
// neither filtered nor masked.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
import { from } from 'pg-copy-streams';
import { finished } from './finished';

const [databaseUrl, buildId = '', file = '', lines = '0'] = process.argv.slice(2);
const batch = 1_000;

async function main(): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const began = performance.now();
  const store = (rows: readonly string[]): Promise<void> =>
    pipeline(Readable.from([rows.join('')]), client.query(from('COPY bench_lines FROM STDIN')));
  let rows: string[] = [];
  let number = 0;
  const child = spawn('cat', [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    rows.push(`${buildId}\t${number}\t${new Date().toISOString()}\tINFO\t${line}\n`);
    number += 1;
    if (rows.length < batch) continue;
    await store(rows);
    rows = [];
  }
  if (rows.length > 0) await store(rows);
  finished(Number(lines), began);
  await client.end();
}

void main();
