import type { ChildProcess } from 'node:child_process';
import { startRunServer } from './postgres';

declare global {
  var testPostgresServer: ChildProcess | undefined;
}

/** Once before all e2e test files, in the process that runs them. */
export default async function setUp(): Promise<void> {
  globalThis.testPostgresServer = await startRunServer();
}
