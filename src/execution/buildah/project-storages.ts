import { readdir, rename, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { hasCode } from '../../config/error-code';
import { isUuid } from '../../http/uuid-param';
import { ScratchDirs } from '../files/scratch-dirs';
import type { KeptProject } from '../image-builder';

/** The layers that projects keep on this host, a directory for each. */
export class ProjectStorages {
  /** What was set aside and waits for its removal. */
  public readonly gone: ScratchDirs;

  private readonly root: string;

  public constructor(dataDir: string) {
    this.root = path.join(dataDir, 'engine');
    this.gone = new ScratchDirs(dataDir, 'engine/.gone');
  }

  public of(projectId: string): string {
    return path.join(this.root, projectId);
  }

  /** Notes that a build uses it: the directory's time of change says when one last did. */
  public async touch(projectId: string): Promise<void> {
    const now = new Date();
    await utimes(this.of(projectId), now, now);
  }

  /** Notes that it is to be dropped as soon as no build uses it. */
  public async spend(projectId: string): Promise<void> {
    const longAgo = new Date(0);
    await utimes(this.of(projectId), longAgo, longAgo);
  }

  /** The longest unused first. */
  public async kept(): Promise<KeptProject[]> {
    const names = await readdir(this.root).catch(() => []);
    const kept: KeptProject[] = [];
    for (const id of names.filter(isUuid)) {
      const seen = await stat(this.of(id)).catch(() => null);
      if (seen !== null) kept.push({ id, lastBuiltAt: seen.mtime });
    }
    return kept.sort((a, b) => a.lastBuiltAt.getTime() - b.lastBuiltAt.getTime());
  }

  public async setAside(projectId: string): Promise<void> {
    const gone = await this.gone.next(projectId);
    try {
      await rename(this.of(projectId), gone);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    } finally {
      this.gone.release(gone);
    }
  }
}
