/** Scheme, host and port of a repository over HTTP, without its credentials; null for every other address. */
export function gitOriginOf(repositoryUrl: string): string | null {
  return /^https?:/.test(repositoryUrl) && URL.canParse(repositoryUrl) ? new URL(repositoryUrl).origin : null;
}
