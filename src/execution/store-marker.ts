import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { EntityManager } from 'typeorm';
import { ENV, type Env } from '../config/env';
import { hasCode } from '../config/error-code';
import { StartError } from '../config/start-error';
import { readPlainFile } from './files/plain-file';
import { type Installation, InstallationRepository } from './installation.repository';

const markerName = '.image-factory-store';
const longestMarker = 100;
/** Enough to tell an installation's directory by: single ones may have been lost. */
const fewArchives = 20;

/**
 * Checks at the start that ARTIFACT_DIR is the one directory in which this installation keeps its archives: a file in it
 * bears the installation's id. The first worker puts it there. A host on which the shared directory is not mounted is
 * found out by it, and so is a directory of another installation, whose archives would be taken for orphans.
 */
@Injectable()
export class StoreMarker implements OnModuleInit {
  private readonly directory: string;
  private readonly isWorker: boolean;
  private id: string | null = null;
  private writable = false;
  private wasMarked = false;

  public constructor(
    @Inject(ENV) env: Env,
    private readonly installations: InstallationRepository,
  ) {
    this.directory = env.ARTIFACT_DIR;
    this.isWorker = env.ROLES.includes('worker');
  }

  /** @throws StartError with what the operator has to put right */
  public async onModuleInit(): Promise<void> {
    const refusal = await this.refusal();
    this.writable = refusal === null;
    if (refusal !== null && this.isWorker) throw this.error(`cannot be written: ${refusal}`);
    try {
      await readdir(this.directory);
    } catch (error) {
      throw this.error(`cannot be read: ${messageOf(error)}`);
    }
    await this.installations.alone(async (installation, manager) => {
      await this.claim(installation, manager);
      this.id = installation.id;
    });
  }

  /**
   * Whether this process may remove files there. One of the role `api` alone may not be able to, or may be there before a
   * worker has marked the directory.
   * @throws Error when the mark is gone: a file system may have been unmounted since
   */
  public async mayRemove(): Promise<boolean> {
    if (!this.writable) return false;
    const isMarked = this.id !== null && (await this.marked()) === this.id;
    if (!isMarked && this.wasMarked) throw new Error('the mark of this installation is gone from ARTIFACT_DIR');
    this.wasMarked = isMarked;
    return isMarked;
  }

  private async claim({ id, hasStore }: Installation, manager: EntityManager): Promise<void> {
    const marker = path.join(this.directory, markerName);
    const found = await this.marked();
    if (found !== null && found !== id) {
      throw this.error(
        `belongs to another installation: set it to a directory of its own, or remove ${quoted(marker)} if that installation is gone`,
      );
    }
    if (found === null) {
      if (hasStore) {
        throw this.error(
          `is not where this installation keeps its archives: mount that directory there or, if it is gone for good, run: echo ${id} > ${quoted(marker)}`,
        );
      }
      // Workers write the archives, so they know the directory; an API may be there before its volume is.
      if (!this.isWorker) return;
      const known = await this.installations.newestArchives(manager, fewArchives);
      if (known.length > 0 && !known.some((archive) => existsSync(path.join(this.directory, archive)))) {
        throw this.error(
          `has none of the images that this installation kept last: mount their directory there or, if they are gone for good, run: echo ${id} > ${quoted(marker)}`,
        );
      }
      await this.mark(marker, id);
    }
    this.wasMarked = true;
    await this.installations.registerStore(manager);
  }

  /** Whole or not at all: a mark without the id would be taken for another installation's. */
  private async mark(marker: string, id: string): Promise<void> {
    const part = `${marker}.part`;
    await writeFile(part, `${id}\n`, { flush: true });
    await rename(part, marker);
  }

  /** The id that the directory bears; null when it has no mark. */
  private async marked(): Promise<string | null> {
    try {
      const text = await readPlainFile(path.join(this.directory, markerName), longestMarker);
      return text?.trim() ?? '';
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw this.error(`cannot be read: ${messageOf(error)}`);
    }
  }

  /** Why nothing can be written there; null when it can. */
  private async refusal(): Promise<string | null> {
    const probe = path.join(this.directory, '.probe');
    try {
      await mkdir(this.directory, { recursive: true });
      await writeFile(probe, 'x');
      await rm(probe, { force: true });
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  private error(what: string): StartError {
    return new StartError(`ARTIFACT_DIR "${this.directory}" ${what}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For a shell. */
function quoted(file: string): string {
  return `'${file.replaceAll("'", "'\\''")}'`;
}
