/** By what somebody is signed in. */
export type SignIn =
  /** An access token of ours, which a sign-in with a password or a refresh gave. */
  | { readonly by: 'password' }
  /** An access token of the outside issuer. */
  | {
      readonly by: 'oidc';
      /** The name of the user there. */
      readonly subject: string;
      readonly email: string | null;
      readonly name: string | null;
    }
  | { readonly by: 'api_key'; readonly keyId: string };

/** Who asks: taken from a verified credential alone. */
export interface Identity {
  readonly userId: string;
  readonly tenantId: string;
  readonly permissions: ReadonlySet<string>;
  /** When the credential ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly signIn: SignIn;
}
