import { Inject, Injectable } from '@nestjs/common';
import { createReadStream, type Dir, type ReadStream } from 'node:fs';
import { mkdir, open, opendir, rm } from 'node:fs/promises';
import path from 'node:path';
import { ENV, type Env } from '../config/env';
import { hasCode } from '../config/error-code';
import { isUuid } from '../http/uuid-param';

/** An image archive, opened for reading. */
export interface Artifact {
  readonly bytes: number;
  readonly stream: ReadStream;
}

/** OCI archives of builds in one directory, shared where roles run on several machines. */
@Injectable()
export class ArtifactStore {
  private readonly directory: string;

  public constructor(@Inject(ENV) env: Env) {
    this.directory = env.ARTIFACT_DIR;
  }

  /** Where the archive of a build is written. */
  public async pathFor(buildId: string): Promise<string> {
    await mkdir(this.directory, { recursive: true });
    return path.join(this.directory, this.nameOf(buildId));
  }

  public nameOf(buildId: string): string {
    return `${buildId}.tar`;
  }

  /**
   * The build whose archive, whole or half-written, bears this name in the directory; null for all that is no archive.
   */
  public buildOf(name: string): string | null {
    const id = /^(?:([^.]+)\.tar|\.([^.]+)\.tar\.[^.]+\.part)$/.exec(name)?.slice(1).join('') ?? '';
    return isUuid(id) ? id : null;
  }

  /** Opens the directory to list what it has. */
  public list(): Promise<Dir> {
    return opendir(this.directory);
  }

  /** Null when the archive is not there. */
  public async open(name: string): Promise<Artifact | null> {
    const file = path.join(this.directory, path.basename(name));
    try {
      const handle = await open(file);
      const { size } = await handle.stat();
      return { bytes: size, stream: createReadStream(file, { fd: handle }) };
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  public async remove(name: string): Promise<void> {
    await rm(path.join(this.directory, path.basename(name)), { force: true });
  }
}
