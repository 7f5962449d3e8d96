import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** Where engines of this family keep the system calls that a container may make; what an operator set comes first. */
const profiles = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json'];

// The OCI runtime specification, "Seccomp"; all else is passed on as it is.
const rule = z.looseObject({ names: z.array(z.string()), action: z.string(), args: z.unknown().optional() });
const profile = z.looseObject({ syscalls: z.array(rule) });

type Rule = z.infer<typeof rule>;

/** Never allowed: kernel keyrings are no namespace's, and `socketcall` hides its arguments from the kernel's filter. */
const denied = new Set(['add_key', 'keyctl', 'request_key', 'socketcall']);

/** Allowed in part by the rules below. `clone3` hides its arguments: programs that are told it is absent use `clone`. */
const restricted = new Set(['clone', 'clone3', 'close_range', 'socket', 'unshare']);

const [cloneFiles, cloneThread, closeRangeUnshare, vsock] = [0x400, 0x10000, 2, 40];

function allow(name: string, index: number, op: string, value: number, valueTwo = 0): Rule {
  return { names: [name], action: 'SCMP_ACT_ALLOW', args: [{ index, value, valueTwo, op }] };
}

/** Threads share their open files: so what a process holds open is seen by looking at the process. */
const partly: readonly Rule[] = [
  allow('clone', 0, 'SCMP_CMP_MASKED_EQ', cloneThread, 0),
  allow('clone', 0, 'SCMP_CMP_MASKED_EQ', cloneThread | cloneFiles, cloneThread | cloneFiles),
  allow('close_range', 2, 'SCMP_CMP_MASKED_EQ', closeRangeUnshare, 0),
  allow('unshare', 0, 'SCMP_CMP_MASKED_EQ', cloneFiles, 0),
  // A virtual machine's way to its hypervisor: no network namespace has it, and no packet filter sees it.
  allow('socket', 0, 'SCMP_CMP_LT', vsock),
  allow('socket', 0, 'SCMP_CMP_GT', vsock),
];

/** A profile of system calls without those that lead out of what a cage bounds. */
export function withoutWaysOut(text: string): string {
  const whole = profile.parse(JSON.parse(text));
  const kept = whole.syscalls
    .map((each) => ({ ...each, names: each.names.filter((name) => !denied.has(name) && !restricted.has(name)) }))
    .filter(({ names }) => names.length > 0);
  return JSON.stringify({ ...whole, syscalls: [...kept, ...partly] });
}

/** The profile for RUN; null where the engine of this host has none that could be narrowed. */
export async function stepProfile(): Promise<string | null> {
  for (const file of profiles) {
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text !== null) return withoutWaysOut(text);
  }
  return null;
}
