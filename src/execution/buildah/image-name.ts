/** The name of an image, with the registry and the tag that a short name leaves out. */
export interface ImageName {
  /** Such as `docker.io` or `127.0.0.1:5000`. */
  readonly registry: string;
  /** With the registry, without tag and digest. */
  readonly repository: string;
  /** The whole name with tag or digest. */
  readonly qualified: string;
}

// The grammar of github.com/distribution/reference, without names that consist of a digest alone.
const host = String.raw`(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d+)?`;
const component = String.raw`[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*`;
const tag = String.raw`\w[\w.-]{0,127}`;
const digest = String.raw`sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}`;
const imageName = new RegExp(`^(?:(${host})/)?(${component}(?:/${component})*)(?::(${tag}))?(?:@(${digest}))?$`);

/** What buildah would take for another place than a registry (`docker` needs a `//` that the grammar refuses anyway). */
const transport = /^(?:atomic|containers-storage|dir|docker-archive|docker-daemon|oci|oci-archive|ostree|sif|tarball):/;

/** Whether an engine would look for it in files of the host, or anywhere but in a registry. */
export function namesOtherPlace(text: string): boolean {
  return transport.test(text);
}

/** Reads the name of an image in a registry; null when it is none. */
export function parseImageName(text: string): ImageName | null {
  const match = transport.test(text) || text.length > 512 ? null : imageName.exec(text);
  if (match === null) return null;
  const [, first, rest = '', givenTag, givenDigest] = match;
  // As Docker has it: the first part is a registry only if it looks like a host.
  const isRegistry =
    first !== undefined && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const path = isRegistry || first === undefined ? rest : `${first}/${rest}`;
  const registry = isRegistry ? (first === 'index.docker.io' ? 'docker.io' : first) : 'docker.io';
  const repository = `${registry}/${registry === 'docker.io' && !path.includes('/') ? 'library/' : ''}${path}`;
  const version = givenDigest === undefined ? `:${givenTag ?? 'latest'}` : `@${givenDigest}`;
  return { registry, repository, qualified: `${repository}${version}` };
}

/** True for a registry on this machine's loopback, which no one can listen in on: it may speak plain HTTP. */
export function isLoopbackRegistry(registry: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(registry);
}
