import { setTimeout as sleep } from 'node:timers/promises';
import { residentMb } from './memory';

const everyMs = 250;

/** The memory of a process in MB, some four times a second while something goes on; one figure at least. */
export async function memoryWhile(pid: number, isGoingOn: () => boolean | Promise<boolean>): Promise<number[]> {
  const samples: number[] = [];
  do {
    samples.push(residentMb(pid));
    await sleep(everyMs);
  } while (await isGoingOn());
  return samples;
}
