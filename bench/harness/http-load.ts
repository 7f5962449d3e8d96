import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Work } from './cpu';

const connections = 32;

export interface HttpTarget {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly token?: string;
}

interface Report {
  readonly '2xx': number;
  readonly non2xx: number;
  readonly errors: number;
  readonly duration: number;
}

/**
 * Asks as often as answers come, from a process of its own.
 * @throws Error when an answer is none of 2xx
 */
export async function loadHttp({ url, method = 'GET', token }: HttpTarget, seconds: number): Promise<Work> {
  const headers = token === undefined ? [] : ['-H', `Authorization=Bearer ${token}`];
  const args = ['-j', '-n', '-c', String(connections), '-d', String(seconds), '-m', method, ...headers, url];
  const { stdout } = await promisify(execFile)(process.execPath, [require.resolve('autocannon'), ...args]);
  const report = JSON.parse(stdout) as Report;
  if (report.non2xx > 0 || report.errors > 0 || report['2xx'] === 0) {
    throw new Error(`${url} answered ${report.non2xx} requests with an error, and ${report.errors} not at all`);
  }
  return { operations: report['2xx'], rate: report['2xx'] / report.duration };
}
