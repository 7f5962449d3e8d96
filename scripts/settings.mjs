// The operator's settings file.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { root } from './terminal.mjs';

/** Reads `.env` where there is one; what the environment already says, even an empty value, stays. */
export function loadSettings() {
  const file = path.join(root, '.env');
  if (existsSync(file)) process.loadEnvFile(file);
}

/** Where the service keeps its data. */
export function dataDir() {
  return path.resolve(root, process.env.DATA_DIR || 'data');
}
