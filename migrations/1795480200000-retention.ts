import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is kept for how long, and whose the artifact store is. */
export class Retention1795480200000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE build_logs
        ADD COLUMN expired_at timestamptz,
        ADD COLUMN purged_at timestamptz;
      COMMENT ON COLUMN build_logs.expired_at IS
        'Readers see one line since, which says that the log was removed; the chunks behind it are being purged.';
      CREATE INDEX build_logs_unexpired ON build_logs (closed_at)
        WHERE closed_at IS NOT NULL AND expired_at IS NULL AND deleted_at IS NULL;
      CREATE INDEX build_logs_unpurged ON build_logs (expired_at)
        WHERE expired_at IS NOT NULL AND purged_at IS NULL AND deleted_at IS NULL;

      ALTER TABLE builds ADD COLUMN archive_kept_days integer;
      COMMENT ON COLUMN builds.archive_kept_days IS 'The archive was removed after so many days; null: it was not.';
      CREATE INDEX builds_archived ON builds (completed_at) WHERE image_archive IS NOT NULL AND deleted_at IS NULL;

      CREATE TABLE installation (
        only_row             boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        id                   uuid NOT NULL DEFAULT gen_random_uuid(),
        store_registered_at  timestamptz
      );
      COMMENT ON COLUMN installation.id IS
        'Also in a file of the artifact store, so that no process uses a directory of others, or one that is not shared.';
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP TABLE installation;
      DROP INDEX builds_archived;
      ALTER TABLE builds DROP COLUMN archive_kept_days;
      DROP INDEX build_logs_unexpired, build_logs_unpurged;
      ALTER TABLE build_logs DROP COLUMN expired_at, DROP COLUMN purged_at;
    `);
  }
}
