// From the output of a process into the log of a build, by the product's own parts: reading, splitting, filtering,
// masking, the writer and the store. The file comes from `cat`; sends what the work cost.
import { DataSource } from 'typeorm';
import { BuildLogsRepository } from '../../src/build-logs/build-logs.repository';
import { logEntry } from '../../src/build-logs/log-entry';
import { LogWriter } from '../../src/build-logs/log-writer';
import { dataSourceOptions } from '../../src/database/data-source-options';
import { runProcess } from '../../src/execution/process/run-process';
import { SecretMask } from '../../src/execution/process/secret-mask';
import { finished } from './finished';

const [databaseUrl = '', buildId = '', token = '', file = '', lines = '0'] = process.argv.slice(2);

async function main(): Promise<void> {
  const source = await new DataSource(dataSourceOptions(databaseUrl)).initialize();
  const repository = new BuildLogsRepository(source);
  await repository.setWriter(source, buildId, token);
  const began = performance.now();
  const writer = new LogWriter({
    buildId,
    token,
    store: repository,
    onStored: () => undefined,
    isTrouble: () => false,
  });
  await runProcess(['cat', file], {
    env: { PATH: process.env.PATH ?? '' },
    mask: new SecretMask(['a password of a registry', 'the token of a repository']),
    onLine: ({ text }) => writer.write(logEntry('INFO', text, { step: '1' })),
  });
  await writer.drain();
  finished(Number(lines), began);
  await source.destroy();
}

void main();
