// A replica of the product that is told of lines which were stored: asked for a number of batches, it hears of as many, one
// after the other. The store is not asked for them; what is measured is what follows the commit.
import pino from 'pino';
import type { AddressInfo } from 'node:net';
import { createApp } from '../../src/app';
import { parseEnv } from '../../src/config/env';
import { BuildEventBus } from '../../src/events/build-events';

const [buildId = '', lines = ''] = process.argv.slice(2);
const lineCount = lines.split('\n').length;

async function main(): Promise<void> {
  const app = await createApp(parseEnv(process.env), pino({ level: 'warn' }));
  await app.listen(0, '127.0.0.1');
  const bus = app.get(BuildEventBus);
  let firstLine = 0;
  process.on('message', (batches: number) => {
    for (let batch = 0; batch < batches; batch += 1) {
      const totalLines = firstLine + lineCount;
      bus.publish('build.log.appended', { buildId, firstLine, totalLines, lines, ended: false });
      firstLine = totalLines;
    }
  });
  process.send?.(`http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`);
}

void main();
