import type { MigrationInterface, QueryRunner } from 'typeorm';

/** From where accounts signed in: the limit on guesses by strangers does not hold for those. */
export class KnownClients1795486000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE known_clients (
        account  text NOT NULL,
        client   text NOT NULL,
        seen_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (account, client)
      );
      CREATE INDEX known_clients_seen ON known_clients (seen_at);
      COMMENT ON COLUMN known_clients.account IS 'SHA-256 of the e-mail address in lower case, base64url.';
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE known_clients');
  }
}
