import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { Permission } from '../access/permission';

@Entity('api_keys')
export class ApiKeyEntity {
  @PrimaryGeneratedColumn('uuid')
  public id!: string;

  @Column('uuid', { name: 'tenant_id' })
  public tenantId!: string;

  /** Whose it is. */
  @Column('uuid', { name: 'user_id' })
  public userId!: string;

  @Column('text')
  public name!: string;

  @Column('text')
  public prefix!: string;

  @Column('bytea', { name: 'key_hash', select: false })
  public keyHash!: Buffer;

  /** What its owner gave it; it may do no more than its owner may at the time of use. */
  @Column('text', { array: true })
  public permissions!: Permission[];

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  public createdAt!: Date;

  @Column('timestamptz', { name: 'expires_at' })
  public expiresAt!: Date;

  /** Exact to a minute. */
  @Column('timestamptz', { name: 'last_used_at', nullable: true })
  public lastUsedAt!: Date | null;
}
