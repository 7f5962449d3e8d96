import { Cage } from '../../src/execution/cage/cage';

/** Removes what a service kept, also the layers that belong to subordinate users of an ordinary user. */
export async function removeDataDir(directory: string): Promise<void> {
  await new Cage({ buildUser: 'image-factory', dataDir: directory }).removeDir(directory);
}
