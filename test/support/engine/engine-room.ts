import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { BuildahBuilder, type BuildahBuilderOptions } from '../../../src/execution/buildah/buildah-builder';
import { noSecrets } from '../../../src/execution/build-secrets';
import { Cage } from '../../../src/execution/cage/cage';
import type { EgressOptions } from '../../../src/execution/cage/egress';
import type { BuiltImage, ImageBuild } from '../../../src/execution/image-builder';
import { RecordedOutput } from './recorded-output';

/** Who runs the builds of tests that run as root; `npm run setup` makes that user. */
export const buildUser = 'image-factory';

/** The beginning of a Dockerfile whose image can run a shell, from a static busybox in the checkout. */
export const shell = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n';

export type Files = Readonly<Record<string, string | { readonly to: string }>>;

/** Writes a checkout: the files, and a static busybox beside them. */
export async function writeCheckout(directory: string, files: Files): Promise<void> {
  await mkdir(directory, { recursive: true });
  await copyFile('/bin/busybox', path.join(directory, 'busybox'));
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(directory, name);
    await mkdir(path.dirname(file), { recursive: true });
    if (typeof content === 'string') await writeFile(file, content);
    else await symlink(content.to, file);
  }
}

export type BuildWishes = Partial<Omit<ImageBuild, 'checkoutDir'>> & { readonly signal?: AbortSignal };

export type RoomOptions = Partial<BuildahBuilderOptions> & { readonly egress?: Partial<EgressOptions> };

const closed: EgressOptions = { allow: [], nameServers: [] };

/** An engine with a data directory of its own below a directory that only its owner can enter. */
export class EngineRoom {
  private constructor(
    public readonly home: string,
    public readonly dataDir: string,
    public readonly cage: Cage,
    public readonly builder: BuildahBuilder,
  ) {}

  public static async open(options: RoomOptions = {}): Promise<EngineRoom> {
    return EngineRoom.openAt(await mkdtemp(path.join(os.tmpdir(), 'image-factory-engine-')), options);
  }

  /** With the data of an earlier one below this directory, if there was one. */
  public static async openAt(home: string, { egress, ...options }: RoomOptions = {}): Promise<EngineRoom> {
    await chmod(home, 0o700);
    const dataDir = path.join(home, 'data');
    await mkdir(dataDir, { recursive: true });
    const cage = new Cage({ buildUser, dataDir, egress: { ...closed, ...egress } });
    return new EngineRoom(
      home,
      dataDir,
      cage,
      new BuildahBuilder({ cage, dataDir, authFile: null, insecureRegistries: [], ...options }),
    );
  }

  /** A fresh build of these files. */
  public async build(files: Files, wishes: BuildWishes = {}): Promise<{ image: BuiltImage; output: RecordedOutput }> {
    const { job, output, signal } = await this.prepare(files, wishes);
    return { image: await this.builder.build(job, output, signal), output };
  }

  /** A build that is under way: its output is there before its end. */
  public async begin(
    files: Files,
    wishes: BuildWishes = {},
  ): Promise<{ built: Promise<BuiltImage>; output: RecordedOutput; job: ImageBuild }> {
    const { job, output, signal } = await this.prepare(files, wishes);
    const built = this.builder.build(job, output, signal);
    built.catch(() => undefined);
    return { built, output, job };
  }

  public async close(): Promise<void> {
    await this.cage.removeDir(this.home);
    await rm(this.home, { recursive: true, force: true });
  }

  /** Writes the checkout of a build. */
  public async prepare(files: Files, { signal = new AbortController().signal, ...wishes }: BuildWishes) {
    const buildId = randomUUID();
    const checkoutDir = path.join(this.dataDir, 'work', buildId, 'checkout');
    await writeCheckout(checkoutDir, files);
    const job: ImageBuild = {
      buildId,
      projectId: 'project',
      checkoutDir,
      dockerfilePath: 'Dockerfile',
      contextPath: '.',
      buildArgs: {},
      imageRepository: null,
      tag: '1-abc',
      archivePath: path.join(this.dataDir, 'artifacts', `${buildId}.tar`),
      registryPrefixes: [],
      secrets: noSecrets,
      publishLimit: { part: 'push', seconds: 900, setBy: 'PUSH_TIMEOUT_SECONDS' },
      ...wishes,
    };
    return { job, output: new RecordedOutput(), signal };
  }
}
