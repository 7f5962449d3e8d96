import { ApiProperty } from '@nestjs/swagger';
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

/** Where in a list an answer stands. */
export interface Page {
  readonly total_count: number;
  readonly page: number;
  readonly limit: number;
  readonly has_more: boolean;
}

export class PageDto implements Page {
  @ApiProperty({ type: 'integer', description: 'How many there are on all pages' })
  public total_count!: number;

  @ApiProperty({ type: 'integer', description: 'Current page number' })
  public page!: number;

  @ApiProperty({ type: 'integer', description: 'Items per page' })
  public limit!: number;

  @ApiProperty({ description: 'Whether more pages exist' })
  public has_more!: boolean;
}

export function pageOf({ page, limit }: PageQuery, total: number): Page {
  return { total_count: total, page, limit, has_more: BigInt(page) * BigInt(limit) < BigInt(total) };
}

/** What a document shows of the only page of a list. */
export const examplePage: Page = { total_count: 1, page: 1, limit: 20, has_more: false };
