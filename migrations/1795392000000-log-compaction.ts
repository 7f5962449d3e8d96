import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far the chunks of a closed log have been joined. */
export class LogCompaction1795392000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE build_logs
        ADD COLUMN compacted_lines integer NOT NULL DEFAULT 0,
        ADD COLUMN compacted_at timestamptz;
      COMMENT ON COLUMN build_logs.compacted_lines IS 'The small chunks before this line have been joined to large ones.';
      CREATE INDEX build_logs_uncompacted ON build_logs (closed_at)
        WHERE closed_at IS NOT NULL AND compacted_at IS NULL AND deleted_at IS NULL;
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP INDEX build_logs_uncompacted;
      ALTER TABLE build_logs DROP COLUMN compacted_lines, DROP COLUMN compacted_at;
    `);
  }
}
