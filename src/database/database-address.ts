/** Where the database is: the operator's, or the embedded one that this process started. */
export interface DatabaseAddress {
  /** A `postgres://` URL that `pg` understands. */
  readonly url: string;
}

export const DATABASE_ADDRESS = Symbol('DatabaseAddress');
