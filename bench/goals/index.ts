import type { Goal } from '../harness/goal';
import { ingest } from './p01-ingest';
import { disk } from './p02-disk';
import { logPage } from './p03-log-page';
import { fanOut } from './p04-fan-out';
import { live } from './p05-live';
import { getBuild } from './p06-get-build';
import { listBuilds } from './p07-list-builds';
import { transitionsOfBuilds } from './p08-transitions';
import { push } from './p09-push';
import { wholeBuild } from './p10-build';
import { memory } from './p11-memory';
import { replay } from './p12-replay';
import { startUp } from './p13-start';
import { workers } from './p14-workers';

/** In the order of their numbers. */
export const goals: readonly Goal[] = [
  ingest,
  disk,
  logPage,
  fanOut,
  live,
  getBuild,
  listBuilds,
  transitionsOfBuilds,
  push,
  wholeBuild,
  memory,
  replay,
  startUp,
  workers,
];
