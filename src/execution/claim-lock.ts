import type { EntityManager } from 'typeorm';
import { query } from '../database/query';

/**
 * Waits until no other transaction claims builds, and keeps it so until this one ends: claims count running builds
 * across all workers, so they go one after the other. Take it as a statement of its own, before the one that looks at
 * builds: only that one's snapshot then shows what the claims before it did.
 */
export async function takeClaimLock(manager: EntityManager): Promise<void> {
  await query(manager, `SELECT pg_advisory_xact_lock(hashtext('image-factory claim'))`);
}
