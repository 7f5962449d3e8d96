import { Logger } from '@nestjs/common';
import path from 'node:path';
import { BuildahPlace, type BuildahTraits } from './buildah-place';
import { probeBuildah } from './buildah-probe';
import type { Cage } from '../cage/cage';
import { ask } from '../cage/cage-identity';
import { checkOptionalFile, findInCheckout } from './checkout-file';
import { cacheDirectory, checkPolicy, type PlannedMounts } from './dockerfile-policy';
import { checkTriggers, planDockerfile, type BaseImage, type DockerfilePlan } from './dockerfile-plan';
import { EngineOutput } from './engine-output';
import { keepArchive } from './image-archive';
import {
  BuildFailure,
  type BuildOutput,
  type BuiltImage,
  DiskExceeded,
  type EngineDirs,
  type ImageBuild,
  type ImageBuilder,
  type KeptProject,
} from '../image-builder';
import { isLoopbackRegistry, parseImageName, type ImageName } from './image-name';
import { ProjectStorages } from './project-storages';
import { readPlainFile } from '../files/plain-file';
import { authFor, type RegistryAuth } from './registry-auth';
import { RegistryClient } from './registry-client';
import { ScratchDirs } from '../files/scratch-dirs';
import { mountedSecrets, type MountedSecrets } from './secret-mounts';
import { withinLimit } from '../time-limit';

export interface BuildahBuilderOptions {
  readonly cage: Cage;
  readonly dataDir: string;
  /** The operator's credentials, in the format of Docker's configuration file. */
  readonly authFile: string | null;
  /** Registries, such as `registry.test:5000`, that may speak plain HTTP; those on the loopback always may. */
  readonly insecureRegistries: readonly string[];
}

const largestDockerfile = 256 * 1024;
const longestDigest = 1024;
const answerMs = 5_000;

/** One build on its way. */
interface Job {
  readonly build: ImageBuild;
  readonly place: BuildahPlace;
  readonly plan: DockerfilePlan;
  readonly mounted: MountedSecrets;
  /** What was checked, word for word. */
  readonly text: string;
  readonly ignoreFile: string | null;
  readonly context: string;
  readonly traits: BuildahTraits;
  readonly output: BuildOutput;
  readonly signal: AbortSignal;
}

/**
 * Builds with the buildah of this host, as an unprivileged user, in a cage that shows it this project's images and this
 * build's checkout alone. Projects keep their layers, so an unchanged step is taken from the cache.
 *
 * Steps are those of the Dockerfile and the publishing; the checkout is the worker's to add. Lines are told under `pull`,
 * `build 2/5` (of all Dockerfile steps that will run) and `publish`.
 */
export class BuildahBuilder implements ImageBuilder {
  private readonly logger = new Logger(BuildahBuilder.name);
  private found: Promise<BuildahTraits> | null = null;
  private answering: Promise<string | null> | null = null;
  private sweeping: Promise<void> = Promise.resolve();
  private readonly scratch: ScratchDirs;
  private readonly storages: ProjectStorages;

  public constructor(private readonly options: BuildahBuilderOptions) {
    this.scratch = new ScratchDirs(options.dataDir, 'scratch');
    this.storages = new ProjectStorages(options.dataDir);
  }

  public async check(): Promise<void> {
    await this.traits();
    // Health is asked by anybody and often: one process at a time answers all who wait.
    this.answering ??= ask(['buildah', '--version'], answerMs)
      .catch(() => null)
      .finally(() => {
        this.answering = null;
      });
    if ((await this.answering) === null) throw new Error('buildah does not answer.');
  }

  /** What does not hold for builds on this host, a sentence each: for the start of the service. */
  public async describe(): Promise<string[]> {
    const { missing } = await this.traits();
    return [...missing, ...(await this.options.cage.describe())];
  }

  public async build(build: ImageBuild, output: BuildOutput, signal: AbortSignal): Promise<BuiltImage> {
    const traits = await this.traits();
    const { checkoutDir } = build;
    const context = await findInCheckout(checkoutDir, build.contextPath, 'Context', 'directory');
    const dockerfile = await findInCheckout(checkoutDir, build.dockerfilePath, 'Dockerfile', 'file');
    const ignoreFile = await findIgnoreFile(build);
    const text = await readDockerfile(dockerfile, build.dockerfilePath);
    const name = `Dockerfile "${build.dockerfilePath}"`;
    const mounts = checkPolicy({ name, text, version: traits.version });
    await checkSources(build, mounts);
    const plan = planFor(build, text, traits);
    const target = build.imageRepository === null ? null : targetOf(build.imageRepository, build.tag);
    output.stepsTotal(plan.stepCount + 1);

    const registries = [...plan.baseImages.map(({ image }) => image), ...(target === null ? [] : [target])];
    const loopback = registries.map(({ registry }) => registry).filter(isLoopbackRegistry);
    signal.throwIfAborted();
    const scratchDir = await this.scratch.next(build.buildId);
    const place = await BuildahPlace.open(this.options.cage, traits, {
      storageDir: this.storages.of(build.projectId),
      scratchDir,
      readOnly: { checkout: path.resolve(checkoutDir) },
      insecureRegistries: [...new Set([...loopback, ...this.options.insecureRegistries])],
      signal,
      mask: build.secrets.mask,
    }).catch((error: unknown) => {
      this.scratch.release(scratchDir);
      throw error;
    });
    try {
      await this.storages.touch(build.projectId);
      const mounted = mountedSecrets(text, build.secrets.build);
      const job: Job = { build, place, plan, mounted, text, ignoreFile, context, traits, output, signal };
      const caches = [...mounts.caches];
      for (const base of plan.baseImages) {
        await this.pull(job, base);
        caches.push(...(await this.checkTriggers(job, base)));
      }
      const imageId = await this.run(job, cacheDirectory(caches, traits.version));
      output.stepsDone(plan.stepCount);
      const image = await withinLimit(build.publishLimit, signal, (limited) =>
        this.publish({ ...job, signal: limited }, imageId, target),
      );
      output.stepsDone(plan.stepCount + 1);
      return image;
    } finally {
      await this.leave(place, scratchDir, build, signal);
    }
  }

  public async dirsOf({ buildId, projectId }: Pick<ImageBuild, 'buildId' | 'projectId'>): Promise<EngineDirs> {
    const shared = this.storages.of(projectId);
    const layers = ['overlay', 'vfs/dir'].map((name) => path.join(shared, name));
    return { own: await this.scratch.of(buildId), shared, layers };
  }

  public keptProjects(): Promise<KeptProject[]> {
    return this.storages.kept();
  }

  public setAside(projectId: string): Promise<void> {
    return this.storages.setAside(projectId);
  }

  /** What others work with stays. One sweep at a time: when it ends, the space is free. */
  public sweep(signal?: AbortSignal): Promise<void> {
    const after = this.sweeping.catch(() => undefined).then(() => this.sweepNow(signal));
    this.sweeping = after;
    return after;
  }

  private async sweepNow(signal?: AbortSignal): Promise<void> {
    for (const dirs of [this.scratch, this.storages.gone]) {
      await dirs.sweep((directory) => this.options.cage.removeDir(directory, signal));
    }
    for (const { id } of await this.storages.kept()) {
      signal?.throwIfAborted();
      await this.sweepStorage(id, signal);
    }
  }

  /** A project that is never built again would keep for ever what its last build left when it died. */
  private async sweepStorage(projectId: string, signal?: AbortSignal): Promise<void> {
    const traits = await this.traits();
    const storageDir = this.storages.of(projectId);
    if (!(await BuildahPlace.hasContainers(traits, storageDir))) return;
    const scratchDir = await this.scratch.next('sweep');
    try {
      const place = await BuildahPlace.open(this.options.cage, traits, { storageDir, scratchDir, signal });
      await place.close();
    } finally {
      this.scratch.release(scratchDir);
    }
  }

  /** What cannot be removed now is no fault of the build; the next sweep tries again. */
  private async leave(
    place: BuildahPlace,
    scratchDir: string,
    { buildId, projectId }: ImageBuild,
    signal: AbortSignal,
  ): Promise<void> {
    // The steps that it finished are layers by now: too many for the disk, and not told from those of others.
    const isSpent = signal.reason instanceof DiskExceeded;
    try {
      if (isSpent) await place.clear().finally(() => this.storages.spend(projectId));
      else await this.storages.touch(projectId);
    } catch (error) {
      this.logger.warn(`What build ${buildId} left in its project's storage was not removed: ${String(error)}`);
    }
    try {
      await place.close();
    } catch (error) {
      this.logger.warn(`The scratch files of build ${buildId} were not removed: ${String(error)}`);
    } finally {
      this.scratch.release(scratchDir);
    }
  }

  private traits(): Promise<BuildahTraits> {
    this.found ??= this.probe();
    return this.found;
  }

  private async probe(): Promise<BuildahTraits> {
    const probeDir = await this.scratch.next('probe');
    try {
      return await probeBuildah(this.options.cage, probeDir);
    } catch (error) {
      this.found = null;
      throw error;
    } finally {
      this.scratch.release(probeDir);
    }
  }

  private async pull({ build, place, output, signal }: Job, { name, image, platform }: BaseImage): Promise<void> {
    await output.line('INFO', `Pulling base image ${image.qualified}`, 'pull');
    await new RegistryClient(place, output, signal).run({
      step: 'pull',
      subject: `base image "${name}"`,
      auth: await this.authFor(build, image),
      registry: image.registry,
      args: [
        'pull',
        ...['--policy', 'always', ...(platform === null ? [] : ['--platform', platform])],
        `docker://${image.qualified}`,
      ],
    });
  }

  /** What a base image adds to the Dockerfile by ONBUILD is held to the same policy. @returns the caches of it */
  private async checkTriggers({ build, place, traits, signal }: Job, { image }: BaseImage): Promise<readonly string[]> {
    const lines: string[] = [];
    const { exitCode } = await place.buildah(
      'none',
      [
        'inspect',
        '--type',
        'image',
        '--format',
        '{{range .Docker.Config.OnBuild}}{{println .}}{{end}}',
        image.qualified,
      ],
      { onLine: ({ text }) => void lines.push(text), signal },
    );
    signal.throwIfAborted();
    if (exitCode !== 0)
      throw new BuildFailure(`base image "${image.qualified}" cannot be inspected: ${lines.join(' ')}`);
    const name = `What base image "${image.qualified}" adds by ONBUILD,`;
    const text = lines.filter((line) => line !== '').join('\n');
    checkTriggers(name, text);
    const mounts = checkPolicy({ name, text, version: traits.version });
    await checkSources(build, mounts);
    return mounts.caches;
  }

  /** Runs the Dockerfile. @returns the id of the image in the project's storage. */
  private async run(
    { build, place, plan, mounted, text, ignoreFile, context, traits, output, signal }: Job,
    caches: string,
  ): Promise<string> {
    const engineOutput = new EngineOutput(plan, output);
    const idFile = place.outFile('image-id');
    const buildArgs = Object.entries(build.buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    // Not the file of the checkout: by its name the engine would take it for several, or run it through cpp (`.in`).
    const dockerfile = await place.putFile('Dockerfile', text);
    const filter = traits.seccomp === null ? null : await place.putFile('seccomp.json', traits.seccomp);
    const ignored = ignoreFile === null ? [] : ['--ignorefile', place.inside(ignoreFile)];
    const { exitCode } = await place.build(
      caches,
      [
        ...['--layers', '--force-rm', '--pull=never', '--format', 'oci', '--network', 'host'],
        // Raw packets could bear the address of another build.
        ...['--cap-drop', 'CAP_NET_RAW'],
        ...(filter === null ? [] : ['--security-opt', `seccomp=${filter}`]),
        ...[...traits.isolation, ...buildArgs, ...mounted.args, '--iidfile', place.inside(idFile)],
        ...[...ignored, '--file', dockerfile, place.inside(context)],
      ],
      { onLine: engineOutput.onLine, signal, env: mounted.env },
    );
    await engineOutput.end();
    if (exitCode !== 0) throw engineOutput.failure(exitCode);
    return readSha256(idFile);
  }

  private authFor({ registryPrefixes: prefixes, secrets }: ImageBuild, image: ImageName): Promise<RegistryAuth> {
    return authFor({ authFile: this.options.authFile, prefixes, own: secrets.registries }, image);
  }

  private publish(job: Job, imageId: string, target: ImageName | null): Promise<BuiltImage> {
    return target === null ? this.archive(job, imageId) : this.push(job, imageId, target);
  }

  private async archive({ build, place, output, signal }: Job, imageId: string): Promise<BuiltImage> {
    const [archive, digestFile] = [place.outFile('image.tar'), place.outFile('digest')];
    await output.line('INFO', 'Keeping the image as an OCI archive', 'publish');
    await new RegistryClient(place, output, signal).run({
      step: 'publish',
      subject: 'the image archive cannot be written',
      auth: { auths: {} },
      registry: null,
      args: ['push', '--digestfile', place.inside(digestFile), imageId, `oci-archive:${place.inside(archive)}`],
    });
    const digest = await readSha256(digestFile);
    signal.throwIfAborted();
    await keepArchive(archive, build.archivePath, signal);
    await output.line('INFO', `Image digest ${digest}`, 'publish');
    return { digest, reference: null };
  }

  private async push({ build, place, output, signal }: Job, imageId: string, target: ImageName): Promise<BuiltImage> {
    const digestFile = place.outFile('digest');
    const shown = `${build.imageRepository ?? ''}:${build.tag}`;
    await output.line('INFO', `Pushing the image to ${shown}`, 'publish');
    await new RegistryClient(place, output, signal).run({
      step: 'publish',
      subject: `push to "${shown}"`,
      auth: await this.authFor(build, target),
      registry: target.registry,
      args: ['push', '--digestfile', place.inside(digestFile), imageId, `docker://${target.qualified}`],
    });
    const digest = await readSha256(digestFile);
    await output.line('INFO', `Image digest ${digest}`, 'publish');
    return { digest, reference: `${build.imageRepository ?? ''}@${digest}` };
  }
}

async function readDockerfile(file: string, name: string): Promise<string> {
  const text = await readPlainFile(file, largestDockerfile);
  if (text === null) throw new BuildFailure(`Dockerfile "${name}" exceeds ${largestDockerfile / 1024} KiB`);
  return text;
}

/**
 * The list of what the context leaves out: the Dockerfile's own, else that of the context. All are looked at, as the engine
 * would follow a link; null when there is none.
 */
async function findIgnoreFile({ checkoutDir, contextPath, dockerfilePath }: ImageBuild): Promise<string | null> {
  const names = ['.containerignore', '.dockerignore'];
  const possible = [
    ...names.map((name) => dockerfilePath + name),
    ...names.map((name) => path.join(contextPath, name)),
  ];
  const found: string[] = [];
  for (const file of possible) {
    const there = await checkOptionalFile(checkoutDir, file, 'Ignore file', largestDockerfile);
    if (there !== null) found.push(there);
  }
  return found[0] ?? null;
}

function planFor({ dockerfilePath: name, buildArgs }: ImageBuild, text: string, traits: BuildahTraits): DockerfilePlan {
  const [major = 0, minor = 0] = traits.version;
  return planDockerfile({ name, text, buildArgs, hereDocuments: major > 1 || minor >= 33 });
}

/** The engine would follow a link in the context to wherever it leads. */
async function checkSources({ checkoutDir, contextPath }: ImageBuild, { sources }: PlannedMounts): Promise<void> {
  for (const { line, source } of sources) {
    await findInCheckout(checkoutDir, path.join(contextPath, source), `Source of the mount in line ${line},`, 'either');
  }
}

function targetOf(repository: string, tag: string): ImageName {
  const bare = parseImageName(repository);
  const target = parseImageName(`${repository}:${tag}`);
  if (target !== null && bare?.qualified === `${target.repository}:latest`) return target;
  throw new BuildFailure(`image_repository "${repository}" is no repository name like registry.example/team/app`);
}

async function readSha256(file: string): Promise<string> {
  const text = await readPlainFile(file, longestDigest);
  const [match] = /^sha256:[0-9a-f]{64}$/.exec(text?.trim() ?? '') ?? [];
  if (match === undefined) throw new Error(`buildah wrote no digest to "${path.basename(file)}".`);
  return match;
}
