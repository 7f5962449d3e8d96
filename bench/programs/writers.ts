// Writers of one worker that store batches as fast as the database takes them, each after each: `on` tells the readers after
// each commit as the product does, `off` tells nobody.
import pino from 'pino';
import { DataSource } from 'typeorm';
import { createApp } from '../../src/app';
import { BuildLogsRepository } from '../../src/build-logs/build-logs.repository';
import { chunksOf } from '../../src/build-logs/log-chunk';
import { logEntry } from '../../src/build-logs/log-entry';
import { LogPublisher } from '../../src/build-logs/log-publisher';
import { parseEnv } from '../../src/config/env';
import { sampleLines } from '../harness/long-log';

const [push = '', databaseUrl = '', dataDir = '', seconds = '1', ...buildIds] = process.argv.slice(2);
const jwtSecret = 'a secret of the bench that is long enough';
const linesPerBatch = 10;

async function main(): Promise<void> {
  const settings = { DATABASE_URL: databaseUrl, DATA_DIR: dataDir, JWT_SECRET: jwtSecret, ROLES: 'api' };
  const app = await createApp(parseEnv(settings), pino({ level: 'warn' }));
  const repository = app.get(BuildLogsRepository);
  const publisher = app.get(LogPublisher);
  const source = app.get(DataSource);
  const [chunk] = chunksOf(sampleLines(linesPerBatch).map((text) => logEntry('INFO', text)));
  if (chunk === undefined) throw new Error('No lines');
  const until = performance.now() + Number(seconds) * 1_000;
  let batches = 0;
  const write = async (buildId: string): Promise<void> => {
    const token = buildId;
    await repository.setWriter(source, buildId, token);
    for (let seq = 1; performance.now() < until; seq += 1) {
      const event = await repository.flush({ buildId, token, seq, chunk });
      if (push === 'on') publisher.publish(event);
      batches += 1;
    }
  };
  await Promise.all(buildIds.map(write));
  process.send?.({ operations: batches, rate: batches / Number(seconds) });
  await app.close();
  process.exit();
}

void main();
