import http from 'node:http';
import { Answer } from './caller';

/** Asks for a WebSocket at a path, and answers what came instead of it or the 101; the connection is then closed. */
export function askUpgrade(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port,
      path,
      agent: false,
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': Buffer.alloc(16, 7).toString('base64'),
        ...headers,
      },
    });
    const answer = ({ statusCode = 0, rawHeaders }: http.IncomingMessage, text: string): Answer => {
      const pairs = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? '']] : []));
      return new Answer(statusCode, new Headers(pairs), text);
    };
    request.on('error', reject);
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(answer(response, ''));
    });
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve(answer(response, Buffer.concat(chunks).toString()));
      });
    });
    request.end();
  });
}
