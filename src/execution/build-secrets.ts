import type { Credential, ProjectSecrets } from '../secrets/secret';
import { SecretMask } from './process/secret-mask';

/** The secrets of a build's project, as they were when the build began. */
export interface BuildSecrets extends ProjectSecrets {
  /** Masks all of them. */
  readonly mask: SecretMask;
}

/** Of a build whose project has none. */
export const noSecrets: BuildSecrets = { build: new Map(), git: [], registries: [], mask: new SecretMask([]) };

export function buildSecrets(secrets: ProjectSecrets): BuildSecrets {
  const credentials = [...secrets.git, ...secrets.registries];
  const texts = [...secrets.build.values(), ...credentials.map(({ password }) => password)];
  return { ...secrets, mask: new SecretMask(texts) };
}

/** The user name and password as HTTP sends them (RFC 7617). */
export function basicAuth({ username, password }: Pick<Credential, 'username' | 'password'>): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}
