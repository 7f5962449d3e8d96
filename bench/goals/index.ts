import type { Goal } from '../harness/goal';
import { ingest } from './p01-ingest';
import { disk } from './p02-disk';
import { logPage } from './p03-log-page';
import { getBuild } from './p06-get-build';
import { listBuilds } from './p07-list-builds';
import { transitionsOfBuilds } from './p08-transitions';
import { replay } from './p12-replay';

/** In the order of their numbers. */
export const goals: readonly Goal[] = [ingest, disk, logPage, getBuild, listBuilds, transitionsOfBuilds, replay];
