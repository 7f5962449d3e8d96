import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When a worker last took a build of a tenant: of tenants with as many running, the one that waited longest comes next. */
export class LastClaim1795501000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE tenants ADD COLUMN last_claimed_at timestamptz;
      UPDATE tenants t SET last_claimed_at = (SELECT max(claimed_at) FROM builds b WHERE b.tenant_id = t.id);
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE tenants DROP COLUMN last_claimed_at');
  }
}
