import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who did what, and who was refused what. Rows are added and never changed; triggers that fire in every session refuse all
 * else. They hold back mistakes and injected statements; the table's owner and a superuser can take them away.
 */
export class AuditEvents1795498000000 implements MigrationInterface {
  public async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE audit_events (
        id             uuid NOT NULL DEFAULT gen_random_uuid(),
        tenant_id      uuid NOT NULL,
        occurred_at    timestamptz NOT NULL DEFAULT now(),
        action         text NOT NULL,
        outcome        text NOT NULL CHECK (outcome IN ('allowed', 'refused')),
        status         smallint CHECK ((status IS NULL) = (outcome = 'allowed')),
        count          integer NOT NULL CHECK (count > 0),
        actor_kind     text NOT NULL CHECK (actor_kind IN ('user', 'outside', 'api_key', 'anonymous', 'system')),
        actor_id       uuid,
        actor_name     text,
        api_key_id     uuid,
        resource_type  text,
        resource_id    text,
        address        text,
        user_agent     text,
        trace_id       text,
        details        jsonb NOT NULL,
        PRIMARY KEY (tenant_id, occurred_at, id)
      );
      COMMENT ON COLUMN audit_events.tenant_id IS
        'Of the actor, or of the account that was tried; all zeros: of none, which is the platform''s. No foreign key: history stays.';
      COMMENT ON COLUMN audit_events.count IS 'How many alike happened within a minute.';
      CREATE INDEX audit_events_action_idx ON audit_events (tenant_id, action, occurred_at, id);
      CREATE INDEX audit_events_actor_idx ON audit_events (tenant_id, actor_id, occurred_at, id);
      CREATE INDEX audit_events_resource_idx ON audit_events (tenant_id, resource_id, occurred_at, id);
      CREATE INDEX audit_events_refused_idx ON audit_events (tenant_id, occurred_at, id) WHERE outcome = 'refused';
      CREATE INDEX audit_events_age_idx ON audit_events USING brin (occurred_at) WITH (autosummarize = on);

      CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
      END $$;
      CREATE FUNCTION refuse_audit_removal() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF OLD.occurred_at < now() - interval '30 days' AND OLD.occurred_at < now()
           - make_interval(days => nullif(current_setting('image_factory.audit_retention_days', true), '')::integer) THEN
          RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
      END $$;
      CREATE TRIGGER audit_events_keep BEFORE UPDATE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
      CREATE TRIGGER audit_events_keep_rows BEFORE DELETE ON audit_events
        FOR EACH ROW EXECUTE FUNCTION refuse_audit_removal();
      ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_keep;
      ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_keep_rows;
    `);
  }

  public async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP TABLE audit_events;
      DROP FUNCTION refuse_audit_change();
      DROP FUNCTION refuse_audit_removal();
    `);
  }
}
