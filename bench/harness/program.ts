import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/**
 * Runs a file of `bench/programs` to its end in a process of its own.
 * @returns what it sent last
 */
export async function runProgram<Result>(name: string, ...args: readonly string[]): Promise<Result> {
  const child = fork(path.join(__dirname, '..', 'programs', name), args, { execArgv: process.execArgv });
  const [result] = (await once(child, 'message')) as [Result];
  await once(child, 'exit');
  return result;
}
