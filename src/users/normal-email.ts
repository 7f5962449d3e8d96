/**
 * The form in which an address is looked for and counted. Both must be the same: PostgreSQL's own `lower` makes an `i` of the
 * Turkish `\u0130`, which is none of the address here.
 */
export function normalEmail(email: string): string {
  return email.toLowerCase();
}
