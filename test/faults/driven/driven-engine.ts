import { writeFile } from 'node:fs/promises';
import type { LogLevel } from '../../../src/build-logs/log-entry';
import {
  BuildFailure,
  type BuildOutput,
  type BuiltImage,
  type EngineDirs,
  type ImageBuild,
  type ImageBuilder,
} from '../../../src/execution/image-builder';
import { Deferred } from './deferred';

/** How a test lets a build end by itself. */
export type OwnEnd = 'success' | 'failed';

/** What a driven build says when it fails. */
export const ownFailure = 'A step failed';

const digest = `sha256:${'5'.repeat(64)}`;

/** A build whose engine does what the test says, when the test says so. */
export class DrivenBuild {
  private readonly image = new Deferred<BuiltImage>();
  private isOver = false;

  public constructor(
    public readonly build: ImageBuild,
    private readonly output: BuildOutput,
    public readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => {
      this.image.reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
    });
  }

  /** What the engine answers: its image, or why there is none. */
  public get answer(): Promise<BuiltImage> {
    return this.image.promise;
  }

  /** Prints a line; a process that has ended prints none. */
  public line(message: string, level: LogLevel = 'INFO'): void | Promise<void> {
    if (this.isOver || this.signal.aborted) return;
    return this.output.line(level, message, 'build 1/1');
  }

  /** The process of the engine has ended: what is left is to record it. A success has left an archive. */
  public async end(how: OwnEnd): Promise<void> {
    this.isOver = true;
    if (how === 'success') await writeFile(this.build.archivePath, this.build.buildId);
    if (how === 'success') this.image.resolve({ digest, reference: null });
    else this.image.reject(new BuildFailure(ownFailure));
  }
}

/** An engine that builds nothing: each build is led by the test. All that stands around it in a worker is real. */
export class DrivenEngine implements Pick<ImageBuilder, 'build' | 'dirsOf'> {
  private readonly builds = new Map<string, Deferred<DrivenBuild>>();

  /** Resolves when the worker has handed this build over; call it before the worker runs the build. */
  public begun(buildId: string): Promise<DrivenBuild> {
    const begun = new Deferred<DrivenBuild>();
    this.builds.set(buildId, begun);
    return begun.promise;
  }

  public dirsOf(): Promise<EngineDirs> {
    return Promise.resolve({ own: [], shared: 'none', layers: [] });
  }

  public build(build: ImageBuild, output: BuildOutput, signal: AbortSignal): Promise<BuiltImage> {
    const driven = new DrivenBuild(build, output, signal);
    this.builds.get(build.buildId)?.resolve(driven);
    return driven.answer;
  }
}
