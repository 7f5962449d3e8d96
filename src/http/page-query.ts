import { IntegerParam } from './integer-param';

/** `page` and `limit` of every list. */
export class PageQuery {
  @IntegerParam({ min: 1, default: 1, description: 'Page number (1-indexed)' })
  public page = 1;

  @IntegerParam({ min: 1, max: 100, default: 20, description: 'Number of items per page' })
  public limit = 20;
}

/** How many rows stand before a page; a string, as it can be greater than what a JavaScript number holds exactly. */
export function offsetOf({ page, limit }: PageQuery): string {
  return String((BigInt(page) - 1n) * BigInt(limit));
}

/** Whether rows stand behind a page. */
export function hasMore({ page, limit }: PageQuery, total: number): boolean {
  return BigInt(page) * BigInt(limit) < BigInt(total);
}
