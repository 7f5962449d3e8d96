/** Why a pull or a push failed. */
export interface RegistryFailure {
  /** In words that a person understands. */
  readonly reason: string;
  /** True when the same request may well succeed a little later. */
  readonly transient: boolean;
}

const absent = /manifest unknown|name unknown|repository name not known|not found|status code 404/i;
const refused =
  /unauthorized|authentication required|(?<!permission )denied|forbidden|invalid username\/password|status code 40[13]/i;
const crowded = /too ?many ?requests|status code 429/i;
const unreachable =
  /no such host|connection refused|connection reset|timeout|timed out|no route to host|network is unreachable|unexpected EOF|: EOF|server misbehaving|temporary failure|status code 5\d\d|Service Unavailable|Bad Gateway/i;
const insecure = /x509|certificate|tls:|server gave HTTP response to HTTPS client/i;

/** Reads the last error of the engine's pull or push. */
export function readRegistryFailure(error: string, hadCredentials: boolean): RegistryFailure {
  // The HTTP client names the URL in quotes, whose words must not be taken for the cause.
  const text = error.replace(/"https?:[^"]*"/g, '');
  const cause = /([^:]+(?:: [^:]+)?)$/.exec(text)?.[1]?.trim() ?? text;
  if (insecure.test(text)) return { reason: `no secure connection to the registry: ${cause}`, transient: false };
  if (refused.test(text)) {
    const who = hadCredentials
      ? 'the registry refused the credentials'
      : 'the registry refused access without credentials';
    return { reason: `${who}: unauthorized`, transient: false };
  }
  if (unreachable.test(text) && !/manifest unknown/i.test(text)) {
    // At which call a connection breaks is chance.
    return {
      reason: `registry unreachable: ${cause.replace(/^(?:connect|read|write): (?=connection reset)/, '')}`,
      transient: true,
    };
  }
  if (absent.test(text)) return { reason: 'not found in the registry', transient: false };
  if (crowded.test(text)) return { reason: 'the registry allows no more requests at present', transient: true };
  return { reason: cause, transient: false };
}
