import type { Env } from '../config/env';
import { registrySecrets } from './buildah/registry-auth';
import { SecretMask } from './process/secret-mask';

/**
 * Masks what only the operator may know. Builds are not given any of it; this is for what prints it nevertheless.
 * @throws Error when the registry credentials cannot be read: then nothing that a build prints may be shown.
 */
export async function operatorMask(
  env: Pick<Env, 'REGISTRY_AUTH_FILE' | 'JWT_SECRET' | 'BOOTSTRAP_ADMIN_PASSWORD' | 'SECRETS_KEY'>,
): Promise<SecretMask> {
  const { REGISTRY_AUTH_FILE: file, JWT_SECRET, BOOTSTRAP_ADMIN_PASSWORD } = env;
  const registry = file === undefined ? [] : await registrySecrets(file);
  const keys = env.SECRETS_KEY.flatMap((key) => [key.toString('base64').replace('=', ''), key.toString('hex')]);
  return new SecretMask([...registry, ...keys, JWT_SECRET ?? '', BOOTSTRAP_ADMIN_PASSWORD ?? '']);
}
