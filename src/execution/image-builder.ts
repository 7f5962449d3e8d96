import type { LogLevel } from '../build-logs/log-entry';
import type { BuildSecrets } from './build-secrets';

/** What a person did wrong or a limit ended: its message is shown as the build's `error_message`. */
export class BuildFailure extends Error {
  public override readonly name = 'BuildFailure';
}

/** A limit of what a build may use; its processes have no time to use more of it. */
export class LimitExceeded extends BuildFailure {
  public readonly killAfterMs = 0;
}

/** What a build added to the worker's disk, or what is left of it, ended the build. */
export class DiskExceeded extends LimitExceeded {}

/** Where the engine writes for a build. */
export interface EngineDirs {
  /** For nobody else. */
  readonly own: readonly string[];
  /** For all builds of its project. */
  readonly shared: string;
  /** Below the shared one: what is in there already when a build begins is not written to by it. */
  readonly layers: readonly string[];
}

/** Where a build reports to while it runs. */
export interface BuildOutput {
  /**
   * One line for the log. `step` is the step that printed it: `checkout`, a Dockerfile step such as `build 2/5`, or
   * `publish`. A promise means that the log is behind: the producer must wait for it before it reads on.
   */
  line(level: LogLevel, message: string, step: string): void | Promise<void>;
  /** How many steps the build has, once that is known. */
  stepsTotal(total: number): void;
  /** How many steps are finished; never falls. */
  stepsDone(done: number): void;
}

/** How long a part of a build may take. */
export interface TimeLimit {
  /** What is limited, as it stands in "The … took longer than its limit". */
  readonly part: string;
  readonly seconds: number;
  /** Where the limit can be changed: the name of a setting or of a project's field. */
  readonly setBy: string;
}

/** All that an engine needs to know of a build. Paths are absolute. */
export interface ImageBuild {
  readonly buildId: string;
  readonly projectId: string;
  /** The checked-out repository. */
  readonly checkoutDir: string;
  /** Relative to the checkout; neither leaves it. */
  readonly dockerfilePath: string;
  readonly contextPath: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Where to push, without a tag; null: keep the image as an OCI archive at `archivePath`. */
  readonly imageRepository: string | null;
  /** The tag for a push, such as `42-1a2b3c4d5e6f`. */
  readonly tag: string;
  readonly archivePath: string;
  /** The repository prefixes for which the operator's registry credentials may be used. */
  readonly registryPrefixes: readonly string[];
  /** Those of the project; credentials for git are not the engine's. */
  readonly secrets: Omit<BuildSecrets, 'git'>;
  /** For all that follows the last step of the Dockerfile: the push with its retries, or the writing of the archive. */
  readonly publishLimit: TimeLimit;
}

export interface BuiltImage {
  /** `sha256:` and 64 hex digits: of the manifest. */
  readonly digest: string;
  /** `repository@digest` after a push; null for an archive. */
  readonly reference: string | null;
}

/** A project of which the engine of this host keeps layers. */
export interface KeptProject {
  readonly id: string;
  /** When a build of it last began or ended on this host, by this host's clock. */
  readonly lastBuiltAt: Date;
}

export const IMAGE_BUILDER = Symbol('ImageBuilder');

/** An engine that turns a checkout into an image. */
export interface ImageBuilder {
  /** @throws Error that says what is missing, when the engine cannot build on this host. */
  check(): Promise<void>;
  /**
   * Builds and publishes. Once the signal is aborted everything it started is ended (TERM, 10 s, KILL) before this
   * rejects with the signal's reason.
   * @throws BuildFailure for all that the build's owner can mend.
   */
  build(build: ImageBuild, output: BuildOutput, signal: AbortSignal): Promise<BuiltImage>;
  /** Where it writes for a build; those that are not there yet are left out or empty. */
  dirsOf(build: Pick<ImageBuild, 'buildId' | 'projectId'>): Promise<EngineDirs>;
  /** What does not hold for builds on this host, a sentence each. */
  describe(): Promise<string[]>;
  /** The projects of which the engine of this host keeps layers, the longest unused first. */
  keptProjects(): Promise<KeptProject[]>;
  /**
   * Makes the engine forget a project that no build of this host uses. It is quick: `sweep` then frees the space.
   */
  setAside(projectId: string): Promise<void>;
  /** Removes what killed workers of this host left behind, and what was set aside. */
  sweep(signal?: AbortSignal): Promise<void>;
}
