import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { alternate } from '../harness/alternate';
import { Series } from '../harness/series';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { sampleLines } from '../harness/long-log';
import { runProgram } from '../harness/program';
import type { Finished } from '../programs/finished';

const lineTable = `
  CREATE TABLE bench_lines (
    build_id uuid, line_number integer, logged_at timestamptz NOT NULL, level text NOT NULL, message text NOT NULL,
    PRIMARY KEY (build_id, line_number)
  )`;

export const ingest: Goal = {
  id: 'P1',
  title: 'The output of a process into the store',
  async measure({ isQuick }) {
    const [lines, rounds] = isQuick ? [100_000, 3] : [500_000, 5];
    const directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-bench-'));
    const file = path.join(directory, 'output');
    await writeFile(file, `${sampleLines(lines).join('\n')}\n`);
    const installation = await Installation.open();
    const { postgres, tenant } = installation;
    try {
      await postgres.sql(lineTable);
      await postgres.sql('ALTER TABLE bench_lines OWNER TO image_factory');
      const project = await installation.project();
      const cpu = { ours: [] as number[], floor: [] as number[] };
      const ours = async (): Promise<number> => {
        const { id } = await tenant.create(project, { branch: 'main' });
        const result = await runProgram<Finished>('ingest', postgres.url, id, randomUUID(), file, String(lines));
        cpu.ours.push(result.cpu);
        return result.rate;
      };
      const floor = async (): Promise<number> => {
        const result = await runProgram<Finished>('copy', postgres.url, randomUUID(), file, String(lines));
        cpu.floor.push(result.cpu);
        return result.rate;
      };
      for (const warmUp of [ours, floor]) await warmUp();
      const result = await alternate(rounds, { ours, floor });
      return [
        {
          name: 'lines stored, by bare COPY',
          unit: 'lines/s',
          ...result,
          bound: { least: 0.65 },
          cpu: { ours: new Series(cpu.ours).median, floor: new Series(cpu.floor).median },
        },
      ];
    } finally {
      await installation.close();
      await rm(directory, { recursive: true });
    }
  },
};
