import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `holds` answers true. A rejection counts as false. @throws Error after `withinMs`, with the last reason. */
export async function waitUntil(holds: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  let reason: unknown = 'it did not hold';
  while (Date.now() < deadline) {
    try {
      if (await holds()) return;
    } catch (error) {
      reason = error;
    }
    await sleep(20);
  }
  throw new Error(`Waited ${withinMs} ms in vain: ${String(reason)}`, { cause: reason });
}
