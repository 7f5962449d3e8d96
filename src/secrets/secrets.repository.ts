import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';
import { mostBytes, mostSecrets, type SecretKind } from './secret';
import type { Sealed } from './secret-box';

/** What may be shown of a secret. */
export interface SecretRow {
  readonly name: string;
  readonly kind: SecretKind;
  readonly scope: string | null;
  readonly username: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Whose a secret is. */
export interface SecretOwner {
  readonly tenantId: string;
  readonly projectId: string;
}

export type NewSecret = SecretOwner &
  Pick<SecretRow, 'name' | 'kind' | 'scope' | 'username'> & { readonly bytes: number; readonly sealed: Sealed };

/** With its value, which is encrypted. */
export type SealedSecret = SecretOwner & Pick<SecretRow, 'name' | 'kind' | 'scope' | 'username'> & Sealed;

const sealedColumns = `project_id AS "projectId", tenant_id AS "tenantId", name, kind, scope, username,
                       key_id AS "keyId", nonce, ciphertext`;

@Injectable()
export class SecretsRepository {
  public constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * Adds or replaces one. Two at once of one project wait for each other, so that the limits are exact.
   * @throws QueryFailedError by the index `project_secrets_scope_key` when another has the same scope.
   */
  public async put(
    manager: EntityManager,
    { sealed, ...secret }: NewSecret,
  ): Promise<'stored' | 'no such project' | 'too many' | 'too long together'> {
    const { tenantId, projectId, name, kind, scope, username, bytes } = secret;
    const project = await query(
      manager,
      'SELECT id FROM projects WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE',
      [projectId, tenantId],
    );
    if (project.length === 0) return 'no such project';
    const [others] = await query<{ count: number; bytes: number }>(
      manager,
      `SELECT count(*)::int AS count, coalesce(sum(bytes), 0)::int AS bytes FROM project_secrets
       WHERE project_id = $1 AND tenant_id = $2 AND name <> $3`,
      [projectId, tenantId, name],
    );
    if (others !== undefined && others.count >= mostSecrets) return 'too many';
    if (others !== undefined && others.bytes + bytes > mostBytes) return 'too long together';
    await query(
      manager,
      `INSERT INTO project_secrets (project_id, tenant_id, name, kind, scope, username, bytes, key_id, nonce, ciphertext)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       ON CONFLICT (project_id, name) DO UPDATE SET (kind, scope, username, bytes, key_id, nonce, ciphertext, updated_at) =
         (excluded.kind, excluded.scope, excluded.username, excluded.bytes, excluded.key_id, excluded.nonce,
          excluded.ciphertext, now())`,
      [projectId, tenantId, name, kind, scope, username, bytes, sealed.keyId, sealed.nonce, sealed.ciphertext],
    );
    return 'stored';
  }

  /** By name. */
  public list({ tenantId, projectId }: SecretOwner): Promise<SecretRow[]> {
    return query(
      this.dataSource,
      `SELECT name, kind, scope, username, created_at AS "createdAt", updated_at AS "updatedAt" FROM project_secrets
       WHERE project_id = $1 AND tenant_id = $2 ORDER BY name COLLATE "C"`,
      [projectId, tenantId],
    );
  }

  /** False when the project has none of this name. */
  public async delete(manager: EntityManager, { tenantId, projectId }: SecretOwner, name: string): Promise<boolean> {
    const gone = await query(
      manager,
      'DELETE FROM project_secrets WHERE project_id = $1 AND tenant_id = $2 AND name = $3 RETURNING name',
      [projectId, tenantId, name],
    );
    return gone.length === 1;
  }

  /** All of a project, with their values. */
  public sealed({ tenantId, projectId }: SecretOwner): Promise<SealedSecret[]> {
    return query(
      this.dataSource,
      `SELECT ${sealedColumns} FROM project_secrets WHERE project_id = $1 AND tenant_id = $2 ORDER BY name COLLATE "C"`,
      [projectId, tenantId],
    );
  }

  /** Of all tenants: those that another key encrypted, behind one in the order of projects and names. */
  public sealedByOthers(
    keyId: string,
    after: Pick<SealedSecret, 'projectId' | 'name'> | null,
    limit: number,
  ): Promise<SealedSecret[]> {
    return query(
      this.dataSource,
      `SELECT ${sealedColumns} FROM project_secrets
       WHERE key_id <> $1 AND ($2::uuid IS NULL OR (project_id, name) > ($2, $3)) ORDER BY project_id, name LIMIT $4`,
      [keyId, after?.projectId ?? null, after?.name ?? '', limit],
    );
  }

  /** Encrypts one anew, unless it was replaced meanwhile. */
  public async reseal({ tenantId, projectId, name, nonce }: SealedSecret, sealed: Sealed): Promise<void> {
    await query(
      this.dataSource,
      `UPDATE project_secrets SET key_id = $5, nonce = $6, ciphertext = $7
       WHERE project_id = $1 AND tenant_id = $2 AND name = $3 AND nonce = $4`,
      [projectId, tenantId, name, nonce, sealed.keyId, sealed.nonce, sealed.ciphertext],
    );
  }
}
