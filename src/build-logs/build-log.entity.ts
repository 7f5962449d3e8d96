import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The counter row of a log: numbers its lines under the lease of the one writer. */
@Entity('build_logs')
export class BuildLogEntity {
  @PrimaryColumn('uuid', { name: 'build_id' })
  public buildId!: string;

  @Column('uuid', { name: 'tenant_id' })
  public tenantId!: string;

  @Column('integer', { name: 'total_lines', default: 0 })
  public totalLines!: number;

  /** The lease of the worker that may write; null: no worker may. */
  @Column('uuid', { name: 'writer_token', nullable: true })
  public writerToken!: string | null;

  /** The number of this writer's last flush. */
  @Column('integer', { name: 'writer_seq', default: 0 })
  public writerSeq!: number;

  /** The status of the build when its log was closed. */
  @Column('text', { nullable: true })
  public outcome!: string | null;

  @Column('timestamptz', { name: 'closed_at', nullable: true })
  public closedAt!: Date | null;

  /** The chunks before this line have been joined to large ones. */
  @Column('integer', { name: 'compacted_lines', default: 0 })
  public compactedLines!: number;

  @Column('timestamptz', { name: 'compacted_at', nullable: true })
  public compactedAt!: Date | null;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  public deletedAt!: Date | null;
}
