// Follows a build on the terminal: its log as it happens, and a line of progress beneath.
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 300;
const reconnectMs = 500;
const endedNormally = 1000;
const finished = new Set(['success', 'failed', 'cancelled']);

/**
 * Shows the build until its log has ended.
 * @param signal ends the wait; the promise then rejects with its reason.
 */
export async function follow(client, buildId, signal) {
  const screen = new Screen(process.stdout);
  const done = new AbortController();
  const watching = watchProgress(client, buildId, screen, AbortSignal.any([signal, done.signal]));
  try {
    await streamLog(client, buildId, screen, signal);
  } finally {
    done.abort();
    await watching;
  }
  screen.progress(progressText(await client.get(`/builds/${buildId}/status`)));
  screen.end();
}

/** Reads the stream to its end; a broken connection goes on at the line where it broke. */
async function streamLog(client, buildId, screen, signal) {
  let offset = 0;
  for (;;) {
    const { lines, code } = await readStream(client, buildId, offset, screen, signal);
    if (code === endedNormally) return;
    offset += lines;
    await sleep(reconnectMs, undefined, { signal });
  }
}

function readStream(client, buildId, offset, screen, signal) {
  // Node 20 has no WebSocket client of its own; this one is there after the set-up.
  const { WebSocket } = createRequire(import.meta.url)('ws');
  const url = `${client.origin.replace(/^http/, 'ws')}/api/v1/builds/${buildId}/logs/stream?offset=${offset}`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: client.authorization, handshakeTimeout: 10_000 });
    const abort = () => {
      reject(signal.reason);
      socket.terminate();
    };
    signal.addEventListener('abort', abort, { once: true });
    let lines = 0;
    socket.on('message', (data) => {
      lines += 1;
      screen.log(JSON.parse(data));
    });
    socket.on('unexpected-response', (_request, response) => {
      reject(new Error(`The log stream answered ${response.statusCode}.`));
      socket.terminate();
    });
    // A broken connection is an error first and closes then: the close decides.
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      signal.removeEventListener('abort', abort);
      resolve({ lines, code });
    });
  });
}

async function watchProgress(client, buildId, screen, signal) {
  while (!signal.aborted) {
    const status = await client.get(`/builds/${buildId}/status`).catch(() => undefined);
    if (status !== undefined && !signal.aborted) screen.progress(progressText(status));
    if (finished.has(status?.status)) return;
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

function progressText({ status, progress, estimated_completion: estimate }) {
  if (!progress) return '';
  const percentage = String(Math.floor(progress.percentage)).padStart(3);
  const left = estimate && !finished.has(status) ? Math.ceil((Date.parse(estimate) - Date.now()) / 1000) : 0;
  const remaining = left > 0 ? `, about ${left} s left` : '';
  // How many steps there are is known once the Dockerfile is there.
  const steps = progress.total_steps > 0 ? `step ${progress.current_step}/${progress.total_steps}` : 'checkout';
  return `[${percentage}%] ${steps}${remaining}`;
}

/** A terminal keeps the progress in its last line; a file gets a line whenever the progress has moved. */
class Screen {
  #out;
  #shown = '';
  #lastMoved = '';

  constructor(out) {
    this.#out = out;
  }

  log({ timestamp, level, message, metadata }) {
    const time = new Date(timestamp).toTimeString().slice(0, 8);
    const step = (metadata?.step ?? '').padEnd(10);
    const mark = level === 'INFO' ? '' : `${level} `;
    if (!this.#out.isTTY) {
      this.#out.write(`${time} ${step} ${mark}${message}\n`);
      return;
    }
    const colour = { ERROR: '\x1b[31m', WARN: '\x1b[33m', DEBUG: '\x1b[2m' }[level] ?? '';
    this.#out.write(`\r\x1b[2K\x1b[2m${time} ${step}\x1b[0m ${colour}${mark}${message}\x1b[0m\n`);
    this.#draw();
  }

  progress(text) {
    if (this.#out.isTTY) {
      if (text === this.#shown) return;
      this.#shown = text;
      this.#draw();
      return;
    }
    // Without the estimate, which changes all the time.
    const moved = text.split(',')[0];
    if (moved !== this.#lastMoved && moved !== '') this.#out.write(`${moved}\n`);
    this.#lastMoved = moved;
  }

  /** Leaves the last progress standing. */
  end() {
    if (this.#out.isTTY) this.#out.write('\n');
  }

  #draw() {
    this.#out.write(`\r\x1b[2K\x1b[1m${this.#shown.slice(0, (this.#out.columns || 80) - 1)}\x1b[0m`);
  }
}
