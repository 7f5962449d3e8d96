import { BuildRepository } from '../../test/support/build-repository';
import { shell } from '../../test/support/engine/engine-room';
import { alternate } from '../harness/alternate';
import { BareBuildah } from '../harness/bare-buildah';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';

/** What the product may add to a build, however short; s. */
const allowance = 0.3;
const steps = Array.from({ length: 8 }, (_, step) => `RUN echo "$NUMBER ${step}" > /file-${step}\n`);
const Dockerfile = `${shell}ARG NUMBER\n${steps.join('')}`;

export const wholeBuild: Goal = {
  id: 'P10',
  title: 'A build of ten steps, from the claim to the end',
  async measure({ isQuick }) {
    const rounds = isQuick ? 1 : 5;
    const repository = new BuildRepository();
    repository.branch('main', { Dockerfile });
    const installation = await Installation.open({ ...repository.settings, ROLES: 'api,worker' });
    const bare = await BareBuildah.open({ Dockerfile });
    try {
      const project = await installation.tenant.project({ repository_url: repository.git.url });
      let number = 0;
      // Another one each time, so that no step of it is taken from the cache but the first three.
      const next = (): { readonly NUMBER: string } => ({ NUMBER: String((number += 1)) });
      const ours = async (): Promise<number> => {
        const { id, status } = await installation.tenant.run(project, { branch: 'main', args: next() });
        if (status !== 'success') throw new Error(`The build ended as ${status}`);
        const [taken] = await installation.postgres.sql<{ seconds: number }>(
          'SELECT extract(epoch FROM completed_at - claimed_at)::float8 AS seconds FROM builds WHERE id = $1',
          [id],
        );
        return taken?.seconds ?? NaN;
      };
      const floor = async (): Promise<number> => {
        const began = performance.now();
        await bare.build(next());
        return (performance.now() - began) / 1_000;
      };
      for (const warmUp of [floor, ours]) await warmUp();
      const result = await alternate(rounds, { ours: async () => (await ours()) - allowance, floor });
      return [{ name: `less ${allowance} s, by bare buildah`, unit: 's', ...result, bound: { most: 1.1 } }];
    } finally {
      await bare.close();
      await installation.close();
      repository.remove();
    }
  },
};
