/**
 * What a failed command of git means: `absent` (no such repository), `denied`, `redirected`, `unreachable` (network
 * trouble, which may pass), or `other`, which depends on what was asked for.
 */
export type GitFailureKind = 'absent' | 'denied' | 'redirected' | 'unreachable' | 'other';

/** The first that fits decides: git ends many failures with a general line that a later one matches. */
const meanings: readonly (readonly [GitFailureKind, RegExp])[] = [
  ['other', /not our ref|unadvertised object|couldn't find remote ref|filter '|No space left on device/],
  ['denied', /Authentication failed|could not read (?:Username|Password)|Permission denied|returned error: 40[13]/i],
  ['denied', /Host key verification failed|dubious ownership/i],
  [
    'absent',
    /does not appear to be a git repository|repository .*not found|not found: did you run|returned error: (?:404|410)/i,
  ],
  ['redirected', /returned error: 30\d|redirect/i],
  ['unreachable', /Could not resolve|Failed to connect|Connection (?:refused|reset|timed out|closed)|timed? ?out/i],
  ['unreachable', /No route to host|Network is unreachable|returned error: (?:5\d\d|408|429)|Operation too slow/i],
  ['unreachable', /early EOF|hung up|unexpected disconnect|RPC failed|Empty reply|transfer closed|TLS|SSL/i],
];

export function meaningOf(messages: readonly string[]): GitFailureKind {
  const text = messages.join('\n');
  return meanings.find(([, pattern]) => pattern.test(text))?.[0] ?? 'other';
}

/** The line that says best why git failed, without git's own prefixes. */
export function causeOf(messages: readonly string[]): string {
  const line =
    messages.find((message) => /^(?:fatal|error|ssh): /.test(message)) ?? messages.at(-1) ?? 'no reason given';
  return line.replace(/^(?:fatal|error): /, '').replace(/\.$/, '');
}
