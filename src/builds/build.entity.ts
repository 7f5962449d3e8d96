import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { BuildStatus } from './build-state';

@Entity('builds')
export class BuildEntity {
  @PrimaryGeneratedColumn('uuid')
  public id!: string;

  @Column('uuid', { name: 'tenant_id' })
  public tenantId!: string;

  @Column('uuid', { name: 'project_id' })
  public projectId!: string;

  /** From 1 in each project; the database hands it out. */
  @Column('integer', { name: 'build_number' })
  public buildNumber!: number;

  @Column('text')
  public status!: BuildStatus;

  /** A branch or a tag. */
  @Column('text', { name: 'git_branch' })
  public gitBranch!: string;

  @Column('text', { name: 'git_commit', nullable: true })
  public gitCommit!: string | null;

  /** `gitCommit` is known to belong to `gitBranch`: a checkout proved it, for this build or the one it retries. */
  @Column('boolean', { name: 'commit_verified' })
  public commitVerified!: boolean;

  @Column('text', { name: 'git_author_name', nullable: true })
  public gitAuthorName!: string | null;

  @Column('text', { name: 'git_author_email', nullable: true })
  public gitAuthorEmail!: string | null;

  /** The project's defaults of the time of creation, overridden by the request's. */
  @Column('jsonb', { name: 'build_args' })
  public buildArgs!: Record<string, string>;

  @Column('text')
  public trigger!: 'api' | 'retry';

  @Column('uuid', { name: 'retry_of', nullable: true })
  public retryOf!: string | null;

  @Column('uuid', { name: 'created_by', nullable: true })
  public createdBy!: string | null;

  @Column('text', { name: 'error_message', nullable: true })
  public errorMessage!: string | null;

  @Column('integer', { name: 'steps_done' })
  public stepsDone!: number;

  /** 0 until the worker knows. */
  @Column('integer', { name: 'steps_total' })
  public stepsTotal!: number;

  @Column('text', { name: 'image_digest', nullable: true })
  public imageDigest!: string | null;

  @Column('text', { name: 'image_reference', nullable: true })
  public imageReference!: string | null;

  /** The name of its OCI archive in the artifact store. */
  @Column('text', { name: 'image_archive', nullable: true })
  public imageArchive!: string | null;

  /** Its archive was removed after so many days; null: it was not. */
  @Column('integer', { name: 'archive_kept_days', nullable: true })
  public archiveKeptDays!: number | null;

  @Column('timestamptz', { name: 'created_at' })
  public createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at' })
  public updatedAt!: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  public startedAt!: Date | null;

  /** When a worker took it; null while it waits for one. */
  @Column('timestamptz', { name: 'claimed_at', nullable: true })
  public claimedAt!: Date | null;

  @Column('timestamptz', { name: 'completed_at', nullable: true })
  public completedAt!: Date | null;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  public deletedAt!: Date | null;

  @Column('text', { name: 'worker_id', nullable: true })
  public workerId!: string | null;

  /** Fences every write of the worker that holds it. It outlives a cancel until the process tree is dead. */
  @Column('uuid', { name: 'lease_token', nullable: true })
  public leaseToken!: string | null;

  @Column('timestamptz', { name: 'lease_expires_at', nullable: true })
  public leaseExpiresAt!: Date | null;
}
