import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, UpdateDateColumn } from 'typeorm';

@Entity('tenants')
export class TenantEntity {
  @PrimaryGeneratedColumn('uuid')
  public id!: string;

  @Column('text')
  public name!: string;

  /** Repository prefixes for which builds of this tenant may use the operator's registry credentials. */
  @Column('text', { name: 'registry_prefixes', array: true })
  public registryPrefixes!: string[];

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  public createdAt!: Date;

  @UpdateDateColumn({ name: 'updated_at', type: 'timestamptz' })
  public updatedAt!: Date;

  @Column('timestamptz', { name: 'disabled_at', nullable: true })
  public disabledAt!: Date | null;
}
