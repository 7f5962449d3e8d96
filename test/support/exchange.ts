import net from 'node:net';
import { Answer } from './caller';

const patienceMs = 10_000;

/** Reads the first answer out of what a server sent, chunked or not. Null when there is none. */
function parse(bytes: Buffer): Answer | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const headers = new Headers(pairs);
  const length = Number(headers.get('content-length') ?? 0);
  return new Answer(Number(first.split(' ')[1]), headers, bytes.subarray(end + 4, end + 4 + length).toString());
}

/**
 * Sends bytes as they are, and answers what came back when the server has closed the connection.
 * @param hangsUp closes our side of the connection as soon as all is sent
 * @throws Error when the server does not close it within 10 s: that is a hang
 */
export function exchange(port: number, bytes: Buffer | string, hangsUp = false): Promise<Answer | null> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`No end after ${patienceMs} ms, but: ${Buffer.concat(chunks).toString('latin1')}`));
    }, patienceMs);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A server that closes while we still send resets the connection; what it said before counts.
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(parse(Buffer.concat(chunks)));
    });
    if (hangsUp) socket.end(bytes);
    else socket.write(bytes);
  });
}
