import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Secrets of projects, encrypted. They are gone with their project, whoever deletes it, by a trigger. */
export class ProjectSecrets1795495000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE project_secrets (
        project_id  uuid NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
        tenant_id   uuid NOT NULL REFERENCES tenants (id),
        name        text NOT NULL,
        kind        text NOT NULL CHECK (kind IN ('build', 'git', 'registry')),
        scope       text CHECK ((scope IS NULL) = (kind = 'build')),
        username    text CHECK ((username IS NULL) = (kind = 'build')),
        bytes       integer NOT NULL,
        key_id      text NOT NULL,
        nonce       bytea NOT NULL CHECK (octet_length(nonce) = 12),
        ciphertext  bytea NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        updated_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (project_id, name)
      );
      CREATE UNIQUE INDEX project_secrets_scope_key ON project_secrets (project_id, kind, scope) WHERE kind <> 'build';
      CREATE INDEX project_secrets_key_idx ON project_secrets (key_id);
      COMMENT ON COLUMN project_secrets.scope IS 'Where it may be sent: the origin of a git server, or a registry or a part of it.';
      COMMENT ON COLUMN project_secrets.bytes IS 'The length of the value.';
      COMMENT ON COLUMN project_secrets.key_id IS 'Which key of SECRETS_KEY encrypted it.';
      COMMENT ON COLUMN project_secrets.ciphertext IS 'AES-256-GCM, with the tag at its end.';

      CREATE FUNCTION forget_project_secrets() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        DELETE FROM project_secrets WHERE project_id = NEW.id;
        RETURN NULL;
      END $$;
      CREATE TRIGGER project_secrets_forget AFTER UPDATE OF deleted_at ON projects
        FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION forget_project_secrets();
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP TRIGGER project_secrets_forget ON projects;
      DROP FUNCTION forget_project_secrets();
      DROP TABLE project_secrets;
    `);
  }
}
