import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Budgets that replicas share. Unlogged: a crash of the server forgets them, which costs one window. */
export class RateLimits1795485600000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE UNLOGGED TABLE rate_limits (
        key             text PRIMARY KEY,
        granted         integer NOT NULL,
        taken           integer NOT NULL,
        window_ends_at  timestamptz NOT NULL
      ) WITH (fillfactor = 50);
      CREATE INDEX rate_limits_end ON rate_limits (window_ends_at);
      COMMENT ON COLUMN rate_limits.granted IS 'What the last taker got of the window.';
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE rate_limits');
  }
}
