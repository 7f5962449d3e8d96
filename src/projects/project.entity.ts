import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, UpdateDateColumn } from 'typeorm';

@Entity('projects')
export class ProjectEntity {
  @PrimaryGeneratedColumn('uuid')
  public id!: string;

  @Column('uuid', { name: 'tenant_id' })
  public tenantId!: string;

  @Column('text')
  public name!: string;

  @Column('text', { name: 'repository_url' })
  public repositoryUrl!: string;

  @Column('text', { name: 'default_branch' })
  public defaultBranch!: string;

  @Column('text', { name: 'dockerfile_path' })
  public dockerfilePath!: string;

  @Column('text', { name: 'context_path' })
  public contextPath!: string;

  /** Where images are pushed; null: they are kept as OCI archives. */
  @Column('text', { name: 'image_repository', nullable: true })
  public imageRepository!: string | null;

  @Column('integer', { name: 'build_timeout_seconds' })
  public buildTimeoutSeconds!: number;

  @Column('boolean', { name: 'auto_start' })
  public autoStart!: boolean;

  @Column('jsonb', { name: 'build_args' })
  public buildArgs!: Record<string, string>;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  public createdAt!: Date;

  @UpdateDateColumn({ name: 'updated_at', type: 'timestamptz' })
  public updatedAt!: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  public deletedAt!: Date | null;
}
