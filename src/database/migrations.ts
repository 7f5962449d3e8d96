import type { MigrationInterface } from 'typeorm';
import { Initial1795305600000 } from '../../migrations/1795305600000-initial';

/** Every migration, the oldest first. Listed, not searched for: a file that is not here does not exist. */
export const migrations: readonly (new () => MigrationInterface)[] = [Initial1795305600000];
