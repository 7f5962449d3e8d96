import { gitOriginOf } from '../../secrets/git-origin';
import type { Credential } from '../../secrets/secret';
import { basicAuth } from '../build-secrets';

interface Authorized {
  readonly url: string;
  readonly credential: Credential | null;
}

/**
 * Takes the credentials out of an HTTP URL: every user of the machine can see the arguments of a command. A user name
 * alone is a token.
 */
export function withoutUserInfo(url: string): Authorized {
  const [, scheme = '', userInfo, rest = ''] = /^(https?:\/\/)([^/@]*)@(.*)$/.exec(url) ?? [];
  if (userInfo === undefined) return { url, credential: null };
  const bare = scheme + rest;
  const [, username = '', password = ''] = /^([^:]*):?(.*)$/.exec(userInfo) ?? [];
  const credential = { scope: gitOriginOf(bare) ?? '', username: decoded(username), password: decoded(password) };
  return { url: bare, credential: userInfo === '' || credential.scope === '' ? null : credential };
}

/** The remote with the credential for its server, if one is; it comes before that of the URL. */
export function withCredential<Remote extends Authorized>(remote: Remote, credentials: readonly Credential[]): Remote {
  const origin = gitOriginOf(remote.url);
  const own = credentials.find(({ scope }) => scope === origin);
  return own === undefined ? remote : { ...remote, credential: own };
}

/** Makes git send the credential to its server, and to no other: not even another port of it. */
export function credentialSettings({ credential }: Authorized): Record<string, string> {
  if (credential === null) return {};
  return { [`http.${credential.scope}/.extraHeader`]: `Authorization: Basic ${basicAuth(credential)}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
