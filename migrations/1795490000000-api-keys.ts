import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Credentials for machines. A revoked key is a row that is gone. */
export class ApiKeys1795490000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE api_keys (
        id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        tenant_id     uuid NOT NULL REFERENCES tenants (id),
        user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        name          text NOT NULL,
        prefix        text NOT NULL,
        key_hash      bytea NOT NULL,
        permissions   text[] NOT NULL,
        created_at    timestamptz NOT NULL DEFAULT now(),
        expires_at    timestamptz NOT NULL,
        last_used_at  timestamptz
      ) WITH (fillfactor = 85);
      CREATE UNIQUE INDEX api_keys_prefix_key ON api_keys (prefix);
      CREATE INDEX api_keys_tenant_idx ON api_keys (tenant_id, created_at DESC, id DESC);
      CREATE INDEX api_keys_user_idx ON api_keys (user_id, created_at DESC, id DESC);
      COMMENT ON COLUMN api_keys.prefix IS 'The beginning of the key, by which it is found and recognised; no secret.';
      COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the whole key.';
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE api_keys');
  }
}
