import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The waiting builds of each tenant in their order, for claims and for places in the queue. */
export class QueueOrder1795478700000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE INDEX builds_waiting_by_tenant ON builds (tenant_id, started_at, id) INCLUDE (project_id)
        WHERE status = 'in_progress' AND claimed_at IS NULL AND deleted_at IS NULL;
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX builds_waiting_by_tenant');
  }
}
