import { Readable } from 'node:stream';
import { OutputReader } from './output-reader';

it('lets others have their turn while it looks through what was printed at once', async () => {
  let turns = 0;
  let isReading = true;
  const count = (): void => {
    turns += 1;
    if (isReading) setImmediate(count);
  };
  setImmediate(count);
  const lines: string[] = [];
  const printed = Buffer.from('a line\n'.repeat(100_000));
  const reader = new OutputReader(Readable.from([printed]), (line) => void lines.push(line), null);
  await reader.read();
  isReading = false;
  expect(lines).toHaveLength(100_000);
  expect(turns).toBeGreaterThan(50);
});
