import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tenants and their users, projects, builds and the log store. Times are the database's own clock. */
export class Initial1795305600000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE tenants (
        id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        name               text NOT NULL,
        registry_prefixes  text[] NOT NULL DEFAULT '{}',
        created_at         timestamptz NOT NULL DEFAULT now(),
        updated_at         timestamptz NOT NULL DEFAULT now(),
        disabled_at        timestamptz
      );
      CREATE UNIQUE INDEX tenants_name_key ON tenants (lower(name));
      COMMENT ON COLUMN tenants.registry_prefixes IS
        'Repository prefixes for which builds of this tenant may use the operator''s registry credentials.';

      CREATE TABLE users (
        id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        tenant_id       uuid NOT NULL REFERENCES tenants (id),
        email           text NOT NULL,
        password_hash   text NOT NULL,
        name            text NOT NULL,
        role            text NOT NULL CHECK (role IN ('viewer', 'developer', 'admin')),
        platform_admin  boolean NOT NULL DEFAULT false,
        created_at      timestamptz NOT NULL DEFAULT now(),
        updated_at      timestamptz NOT NULL DEFAULT now(),
        disabled_at     timestamptz
      );
      CREATE UNIQUE INDEX users_email_key ON users (lower(email));
      CREATE INDEX users_tenant_idx ON users (tenant_id, created_at, id);

      CREATE TABLE refresh_tokens (
        id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        family_id   uuid NOT NULL,
        token_hash  bytea NOT NULL UNIQUE,
        created_at  timestamptz NOT NULL DEFAULT now(),
        expires_at  timestamptz NOT NULL,
        used_at     timestamptz,
        revoked_at  timestamptz
      );
      CREATE INDEX refresh_tokens_family_idx ON refresh_tokens (family_id);
      CREATE INDEX refresh_tokens_expiry_idx ON refresh_tokens (expires_at);

      CREATE TABLE projects (
        id                     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        tenant_id              uuid NOT NULL REFERENCES tenants (id),
        name                   text NOT NULL,
        repository_url         text NOT NULL,
        default_branch         text NOT NULL,
        dockerfile_path        text NOT NULL DEFAULT 'Dockerfile',
        context_path           text NOT NULL DEFAULT '.',
        image_repository       text,
        build_timeout_seconds  integer NOT NULL DEFAULT 3600,
        auto_start             boolean NOT NULL DEFAULT false,
        build_args             jsonb NOT NULL DEFAULT '{}',
        last_build_number      integer NOT NULL DEFAULT 0,
        builds_queued          integer NOT NULL DEFAULT 0,
        builds_in_progress     integer NOT NULL DEFAULT 0,
        builds_success         integer NOT NULL DEFAULT 0,
        builds_failed          integer NOT NULL DEFAULT 0,
        builds_cancelled       integer NOT NULL DEFAULT 0,
        created_at             timestamptz NOT NULL DEFAULT now(),
        updated_at             timestamptz NOT NULL DEFAULT now(),
        deleted_at             timestamptz
      ) WITH (fillfactor = 70);
      CREATE UNIQUE INDEX projects_name_key ON projects (tenant_id, lower(name)) WHERE deleted_at IS NULL;
      CREATE INDEX projects_list_idx ON projects (tenant_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

      CREATE TABLE builds (
        id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        tenant_id         uuid NOT NULL REFERENCES tenants (id),
        project_id        uuid NOT NULL REFERENCES projects (id),
        build_number      integer NOT NULL,
        status            text NOT NULL DEFAULT 'queued'
                          CHECK (status IN ('queued', 'in_progress', 'success', 'failed', 'cancelled')),
        git_branch        text NOT NULL,
        git_commit        text,
        commit_verified   boolean NOT NULL DEFAULT false,
        git_author_name   text,
        git_author_email  text,
        build_args        jsonb NOT NULL DEFAULT '{}',
        trigger           text NOT NULL DEFAULT 'api',
        retry_of          uuid,
        created_by        uuid,
        error_message     text,
        steps_done        integer NOT NULL DEFAULT 0,
        steps_total       integer NOT NULL DEFAULT 0,
        image_digest      text,
        image_reference   text,
        image_archive     text,
        created_at        timestamptz NOT NULL DEFAULT now(),
        updated_at        timestamptz NOT NULL DEFAULT now(),
        started_at        timestamptz,
        claimed_at        timestamptz,
        completed_at      timestamptz,
        deleted_at        timestamptz,
        worker_id         text,
        lease_token       uuid,
        lease_expires_at  timestamptz
      ) WITH (fillfactor = 85);
      COMMENT ON COLUMN builds.commit_verified IS
        'git_commit is known to belong to git_branch: a checkout proved it, or this is a retry of a build for which one did.';
      CREATE UNIQUE INDEX builds_number_key ON builds (project_id, build_number);
      CREATE INDEX builds_by_created ON builds (tenant_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
      CREATE INDEX builds_by_updated ON builds (tenant_id, updated_at DESC, id DESC) WHERE deleted_at IS NULL;
      CREATE INDEX builds_by_number ON builds (tenant_id, build_number DESC, id DESC) WHERE deleted_at IS NULL;
      CREATE INDEX builds_by_project ON builds (project_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
      CREATE INDEX builds_by_status ON builds (tenant_id, status, created_at DESC, id DESC) WHERE deleted_at IS NULL;
      CREATE INDEX builds_waiting ON builds (started_at, id)
        WHERE status = 'in_progress' AND claimed_at IS NULL AND deleted_at IS NULL;
      CREATE INDEX builds_leased ON builds (lease_expires_at) WHERE lease_token IS NOT NULL;
      CREATE INDEX builds_deleted ON builds (deleted_at) WHERE deleted_at IS NOT NULL;
      CREATE UNIQUE INDEX builds_active_retry_key ON builds (retry_of)
        WHERE retry_of IS NOT NULL AND status IN ('queued', 'in_progress') AND deleted_at IS NULL;
      CREATE INDEX builds_durations ON builds (project_id, completed_at DESC)
        WHERE status = 'success' AND deleted_at IS NULL;

      CREATE TABLE build_logs (
        build_id      uuid PRIMARY KEY,
        tenant_id     uuid NOT NULL,
        total_lines   integer NOT NULL DEFAULT 0,
        writer_token  uuid,
        writer_seq    integer NOT NULL DEFAULT 0,
        outcome       text,
        closed_at     timestamptz,
        deleted_at    timestamptz
      ) WITH (fillfactor = 70);
      COMMENT ON TABLE build_logs IS 'Numbers the lines of a log under the lease of its one writer.';
      COMMENT ON COLUMN build_logs.outcome IS 'The status of the build whose log was closed; set together with closed_at.';

      CREATE TABLE build_log_chunks (
        build_id     uuid NOT NULL,
        first_line   integer NOT NULL,
        line_count   integer NOT NULL,
        debug_count  integer NOT NULL,
        info_count   integer NOT NULL,
        warn_count   integer NOT NULL,
        error_count  integer NOT NULL,
        lines        text NOT NULL,
        PRIMARY KEY (build_id, first_line)
      );
      COMMENT ON COLUMN build_log_chunks.lines IS
        'One LogEntry of the public contract a line, as JSON, in order; pages and frames splice this text unparsed.';
      CREATE INDEX build_log_chunks_errors ON build_log_chunks (build_id, first_line) WHERE error_count > 0;

      CREATE TABLE idempotency_keys (
        tenant_id     uuid NOT NULL REFERENCES tenants (id),
        key           text NOT NULL,
        request_hash  bytea NOT NULL,
        response      json,
        created_at    timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, key)
      );
      CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
    `);

    // Each project row hands out build numbers and carries its visible builds by status, so that totals need no COUNT(*).
    // Triggers keep both: no statement that creates, moves or deletes a build can forget to.
    await queryRunner.query(`
      CREATE FUNCTION number_build() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE projects SET
          last_build_number = last_build_number + 1,
          builds_queued = builds_queued + (NEW.status = 'queued')::int,
          builds_in_progress = builds_in_progress + (NEW.status = 'in_progress')::int,
          builds_success = builds_success + (NEW.status = 'success')::int,
          builds_failed = builds_failed + (NEW.status = 'failed')::int,
          builds_cancelled = builds_cancelled + (NEW.status = 'cancelled')::int
        WHERE id = NEW.project_id AND deleted_at IS NULL
        RETURNING last_build_number INTO NEW.build_number;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER number_build BEFORE INSERT ON builds FOR EACH ROW EXECUTE FUNCTION number_build();

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

    // lz4 where this server was built with it; pglz otherwise.
    await queryRunner.query(`
      DO $$ BEGIN
        EXECUTE 'ALTER TABLE build_log_chunks ALTER COLUMN lines SET COMPRESSION lz4';
      EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN NULL;
      END $$;
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP TABLE idempotency_keys, build_log_chunks, build_logs, builds, projects, refresh_tokens, users, tenants;
      DROP FUNCTION number_build, count_builds;
    `);
  }
}
