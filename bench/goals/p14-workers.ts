import path from 'node:path';
import { waitUntil } from '../../test/support/wait-until';
import { alternate } from '../harness/alternate';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { queuedBuilds } from '../harness/queued-builds';
import { SleepingWorkers } from '../harness/sleeping-workers';

const slotsEach = 4;
const many = 5;
const mostMs = 600_000;

export const workers: Goal = {
  id: 'P14',
  title: 'Five workers and one worker drain builds of a second',
  async measure({ isQuick }) {
    const [builds, rounds] = isQuick ? [40, 1] : [300, 5];
    const installation = await Installation.open();
    const { postgres, service } = installation;
    const artifacts = path.join(service.dataDir, 'artifacts');
    /** Builds a second, from the first claim to the last end, by the database's clock. */
    const drain = async (count: number): Promise<number> => {
      const pool = await SleepingWorkers.start(postgres.url, artifacts, count, slotsEach);
      try {
        const ids = await queuedBuilds(installation, builds);
        await postgres.sql(
          "UPDATE builds SET status = 'in_progress', started_at = now(), updated_at = now() WHERE id = ANY($1)",
          [ids],
        );
        const left = "SELECT id FROM builds WHERE id = ANY($1) AND status <> 'success' LIMIT 1";
        await waitUntil(async () => (await postgres.sql(left, [ids])).length === 0, mostMs);
        const [taken] = await postgres.sql<{ seconds: number }>(
          `SELECT extract(epoch FROM max(completed_at) - min(claimed_at))::float8 AS seconds FROM builds WHERE id = ANY($1)`,
          [ids],
        );
        return builds / (taken?.seconds ?? NaN);
      } finally {
        await pool.stop();
      }
    };
    try {
      const result = await alternate(rounds, { ours: () => drain(many), floor: () => drain(1) });
      return [{ name: `${many} workers by one`, unit: 'builds/s', ...result, bound: { least: 4.5 } }];
    } finally {
      await installation.close();
    }
  },
};
