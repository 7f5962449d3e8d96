import { readFileSync } from 'node:fs';

/** The physical memory that a process holds now (proc(5), `status`, VmRSS), in MB of 10^6 bytes. */
export function residentMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1_024) / 1e6;
}
