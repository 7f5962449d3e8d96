import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, UpdateDateColumn } from 'typeorm';
import type { Role } from '../access/permission';

@Entity('users')
export class UserEntity {
  @PrimaryGeneratedColumn('uuid')
  public id!: string;

  @Column('uuid', { name: 'tenant_id' })
  public tenantId!: string;

  @Column('text')
  public email!: string;

  @Column('text', { name: 'password_hash' })
  public passwordHash!: string;

  @Column('text')
  public name!: string;

  @Column('text')
  public role!: Role;

  @Column('boolean', { name: 'platform_admin' })
  public platformAdmin!: boolean;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  public createdAt!: Date;

  @UpdateDateColumn({ name: 'updated_at', type: 'timestamptz' })
  public updatedAt!: Date;

  @Column('timestamptz', { name: 'disabled_at', nullable: true })
  public disabledAt!: Date | null;
}
