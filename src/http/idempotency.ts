import { createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { createHash } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { query } from '../database/query';
import { ApiError } from './api-error';

/** A request that a client may send again with the same `Idempotency-Key`. */
export interface Repeatable {
  readonly tenantId: string;
  readonly key: string;
  /** What was asked: the operation and all of its input. */
  readonly request: readonly unknown[];
}

const printable = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/** The `Idempotency-Key` of a request: 1 to 255 printable characters, or null where none was sent. */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext): string | null => {
  const key = context.switchToHttp().getRequest<Request>().headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && printable.test(key)) return key;
  throw ApiError.badFields({ 'Idempotency-Key': 'must be 1 to 255 printable ASCII characters' });
});

/** Answers a repeated request with its first answer, for 24 hours, per tenant. */
@Injectable()
export class Idempotency {
  /**
   * Does the work once for each key, in the work's own transaction: a key is kept only when its work was.
   * A parallel request with the same key waits for the first one's commit.
   * @throws ApiError 409 when the key came before with another request.
   */
  public async once<Answer extends object>(
    manager: EntityManager,
    { tenantId, key, request }: Repeatable,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    const hash = createHash('sha256').update(JSON.stringify(request)).digest();
    const taken = await query(
      manager,
      `INSERT INTO idempotency_keys AS k (tenant_id, key, request_hash) VALUES ($1, $2, $3)
       ON CONFLICT (tenant_id, key) DO UPDATE SET request_hash = $3, response = NULL, created_at = now()
         WHERE k.created_at < now() - interval '24 hours'
       RETURNING key`,
      [tenantId, key, hash],
    );
    if (taken.length === 0) return this.firstAnswer<Answer>(manager, tenantId, key, hash);
    const answer = await work();
    await query(manager, 'UPDATE idempotency_keys SET response = $3 WHERE tenant_id = $1 AND key = $2', [
      tenantId,
      key,
      JSON.stringify(answer),
    ]);
    return answer;
  }

  private async firstAnswer<Answer>(
    manager: EntityManager,
    tenantId: string,
    key: string,
    hash: Buffer,
  ): Promise<Answer> {
    const [first] = await query<{ hash: Buffer; response: Answer }>(
      manager,
      'SELECT request_hash AS hash, response FROM idempotency_keys WHERE tenant_id = $1 AND key = $2',
      [tenantId, key],
    );
    if (first?.hash.equals(hash) !== true) {
      throw new ApiError(409, 'This Idempotency-Key was used before with another request; use a new key');
    }
    return first.response;
  }
}
