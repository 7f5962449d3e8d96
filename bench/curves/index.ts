import type { Curve } from './curve';
import { logLength } from './log-length';
import { parallelBuilds } from './parallel-builds';
import { subscribers } from './subscribers';
import { tenantSize } from './tenant-size';

export const curves: readonly Curve[] = [logLength, tenantSize, subscribers, parallelBuilds];
