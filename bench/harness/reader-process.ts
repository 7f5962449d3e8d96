// Clients of logs whose lines say their number and when they were printed (`ticking-build.ts`). Says when each has read a
// line. From then on: asked to `begin`, it forgets the delays so far; asked to `end`, it waits until all clients have read
// what one of them has, and tells the delays and how many lines did not follow the one before.
import { Delays } from './delays';
import { FrameClient } from './frame-client';
import type { Reading } from './readers';
import { firstNumber, messageOffset, numberDigits, tickMark, timeDigits } from './ticking-build';
import { wallClockMs } from './wall-clock';

const [token = '', clients = '1', ...urls] = process.argv.slice(2);
const mark = tickMark.charCodeAt(0);
const point = 0x2e;
/** How long the last lines of a round may take to the last client; ms. */
const tailMs = 10_000;

const delays = new Delays();
/** The number of the last line that each client has read. */
const last = new Array<number>(Number(clients)).fill(firstNumber);
let gaps = 0;
let started = 0;

function digits(chunk: Buffer, from: number, count: number): number {
  let value = 0;
  for (let at = from; at < from + count; at += 1) {
    const byte = chunk[at] ?? 0;
    if (byte !== point) value = value * 10 + byte - 48;
  }
  return value;
}

function read(client: number, chunk: Buffer, start: number): void {
  const at = start + messageOffset;
  // The engine has lines of its own.
  if (chunk[at] !== mark) return;
  const number = digits(chunk, at + 1, numberDigits);
  const before = last[client] ?? 0;
  last[client] = number;
  if (number !== before + 1) gaps += 1;
  if (before === firstNumber) {
    started += 1;
    if (started === last.length) process.send?.('open');
  }
  delays.add(wallClockMs() - digits(chunk, at + 2 + numberDigits, timeDigits) / 1_000);
}

function end(): void {
  const target = Math.max(...last);
  const deadline = performance.now() + tailMs;
  const timer = setInterval(() => {
    const late = last.filter((number) => number < target).length;
    if (late > 0 && performance.now() < deadline) return;
    clearInterval(timer);
    const reading = {
      count: delays.count,
      median: delays.quantile(0.5),
      p99: delays.quantile(0.99),
      gaps: gaps + late,
    };
    process.send?.(reading satisfies Reading);
  }, 5);
}

process.on('message', (word: 'begin' | 'end') => {
  if (word === 'begin') delays.clear();
  else end();
});

for (let client = 0; client < last.length; client += 1) {
  new FrameClient({
    url: urls[client % urls.length] ?? '',
    token,
    onOpen: () => undefined,
    onText: (chunk, start) => {
      read(client, chunk, start);
    },
  });
}
