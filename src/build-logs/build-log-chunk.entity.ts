import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Consecutive lines of a log, one row for each flush of its writer. */
@Entity('build_log_chunks')
export class BuildLogChunkEntity {
  @PrimaryColumn('uuid', { name: 'build_id' })
  public buildId!: string;

  @PrimaryColumn('integer', { name: 'first_line' })
  public firstLine!: number;

  @Column('integer', { name: 'line_count' })
  public lineCount!: number;

  @Column('integer', { name: 'debug_count' })
  public debugCount!: number;

  @Column('integer', { name: 'info_count' })
  public infoCount!: number;

  @Column('integer', { name: 'warn_count' })
  public warnCount!: number;

  @Column('integer', { name: 'error_count' })
  public errorCount!: number;

  /** One JSON LogEntry a line, joined by newlines. */
  @Column('text')
  public lines!: string;
}
