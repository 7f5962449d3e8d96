/** What a secret is for: a file in build steps, the git server, or a registry. */
export const secretKinds = ['build', 'git', 'registry'] as const;

export type SecretKind = (typeof secretKinds)[number];

/** A name and a password, and the only place that they may be sent to. */
export interface Credential {
  /** Of git: an origin like `https://git.example.com`. Of a registry: its name, or that of a part like `reg.example/team`. */
  readonly scope: string;
  readonly username: string;
  readonly password: string;
}

/** All secrets of a project, decrypted, at one moment. */
export interface ProjectSecrets {
  /** What steps of a Dockerfile can mount, by name. */
  readonly build: ReadonlyMap<string, string>;
  readonly git: readonly Credential[];
  readonly registries: readonly Credential[];
}

const name = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** What is wrong with a text as the name of a secret, or null. */
export function secretNameProblem(text: string): string | null {
  if (name.test(text)) return null;
  return 'must be a letter or underscore and at most 63 more letters, digits and marks out of _ . -';
}

/** In bytes of UTF-8. */
export const longestValue = 64 * 1024;

/** A mask looks for every line of a value, in many forms: more would hold up what else the worker does. */
export const mostLines = 1_024;

/** Of one project. Every line of its builds is searched for all of it. */
export const mostSecrets = 100;
export const mostBytes = 256 * 1024;
