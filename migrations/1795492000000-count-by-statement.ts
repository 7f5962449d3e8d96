import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Counts the builds of a project once for each statement, not once for each row: a statement that changes n builds of one
 * project wrote its row n times, and each time took longer to find the newest version of it.
 */
export class CountByStatement1795492000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    // No join of the old and the new rows: the plan is made once, for however many rows the first statement changed.
    // Projects are locked in the order of their ids.
    await queryRunner.query(`
      DROP TRIGGER count_builds ON builds;
      DROP FUNCTION count_builds;
      CREATE FUNCTION count_builds() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        change record;
      BEGIN
        FOR change IN
          SELECT project_id,
                 coalesce(sum(n) FILTER (WHERE status = 'queued'), 0) AS queued,
                 coalesce(sum(n) FILTER (WHERE status = 'in_progress'), 0) AS in_progress,
                 coalesce(sum(n) FILTER (WHERE status = 'success'), 0) AS success,
                 coalesce(sum(n) FILTER (WHERE status = 'failed'), 0) AS failed,
                 coalesce(sum(n) FILTER (WHERE status = 'cancelled'), 0) AS cancelled
          FROM (
            SELECT project_id, status, 1 AS n FROM new_builds WHERE deleted_at IS NULL
            UNION ALL
            SELECT project_id, status, -1 FROM old_builds WHERE deleted_at IS NULL
          ) AS counted
          GROUP BY project_id ORDER BY project_id
        LOOP
          CONTINUE WHEN 0 = ALL (ARRAY[change.queued, change.in_progress, change.success, change.failed, change.cancelled]);
          UPDATE projects SET
            builds_queued = builds_queued + change.queued,
            builds_in_progress = builds_in_progress + change.in_progress,
            builds_success = builds_success + change.success,
            builds_failed = builds_failed + change.failed,
            builds_cancelled = builds_cancelled + change.cancelled
          WHERE id = change.project_id;
        END LOOP;
        RETURN NULL;
      END $$;
      CREATE TRIGGER count_builds AFTER UPDATE ON builds
        REFERENCING OLD TABLE AS old_builds NEW TABLE AS new_builds
        FOR EACH STATEMENT EXECUTE FUNCTION count_builds();
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP TRIGGER count_builds ON builds;
      DROP FUNCTION count_builds;
      CREATE FUNCTION count_builds() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        old_status text := CASE WHEN OLD.deleted_at IS NULL THEN OLD.status ELSE 'deleted' END;
        new_status text := CASE WHEN NEW.deleted_at IS NULL THEN NEW.status ELSE 'deleted' END;
      BEGIN
        IF old_status <> new_status THEN
          UPDATE projects SET
            builds_queued = builds_queued + (new_status = 'queued')::int - (old_status = 'queued')::int,
            builds_in_progress = builds_in_progress + (new_status = 'in_progress')::int - (old_status = 'in_progress')::int,
            builds_success = builds_success + (new_status = 'success')::int - (old_status = 'success')::int,
            builds_failed = builds_failed + (new_status = 'failed')::int - (old_status = 'failed')::int,
            builds_cancelled = builds_cancelled + (new_status = 'cancelled')::int - (old_status = 'cancelled')::int
          WHERE id = NEW.project_id;
        END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER count_builds AFTER UPDATE OF status, deleted_at ON builds
        FOR EACH ROW EXECUTE FUNCTION count_builds();
    `);
  }
}
