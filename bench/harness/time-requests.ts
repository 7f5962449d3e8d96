import http from 'node:http';
import { Series } from './series';

/**
 * The time of each of several requests one after another on one connection, until the last byte came; ms.
 * @throws Error for an answer that is not 200
 */
export async function timeRequests(url: string, count: number, token?: string): Promise<Series> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const times: number[] = [];
  try {
    for (let index = 0; index < count; index += 1) {
      const began = performance.now();
      await new Promise<void>((resolve, reject) => {
        const request = http.get(url, { agent, headers }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`${url} answered ${String(response.statusCode)}`));
          response.resume().once('end', resolve).once('error', reject);
        });
        request.once('error', reject);
      });
      times.push(performance.now() - began);
    }
  } finally {
    agent.destroy();
  }
  return new Series(times);
}
