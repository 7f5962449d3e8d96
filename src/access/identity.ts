/** Who asks: taken from a verified access token alone. */
export interface Identity {
  readonly userId: string;
  readonly tenantId: string;
  readonly permissions: ReadonlySet<string>;
  /** When the token ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
}
