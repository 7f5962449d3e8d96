import { stopRunServer } from './postgres';
import './global-setup';

export default async function tearDown(): Promise<void> {
  if (globalThis.testPostgresServer !== undefined) await stopRunServer(globalThis.testPostgresServer);
}
