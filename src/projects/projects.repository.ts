import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, IsNull, Repository } from 'typeorm';
import { offsetOf, type PageQuery } from '../http/page';
import { ProjectEntity } from './project.entity';

export type NewProject = Omit<ProjectEntity, 'id' | 'createdAt' | 'updatedAt' | 'deletedAt'>;
export type ProjectChange = Partial<Omit<NewProject, 'tenantId'>>;

@Injectable()
export class ProjectsRepository {
  public constructor(@InjectRepository(ProjectEntity) private readonly projects: Repository<ProjectEntity>) {}

  /** @throws QueryFailedError by the index `projects_name_key` when the tenant has a project of this name. */
  public insert(manager: EntityManager, project: NewProject): Promise<ProjectEntity> {
    const projects = manager.getRepository(ProjectEntity);
    return projects.save(projects.create({ ...project, deletedAt: null }));
  }

  public find(tenantId: string, id: string): Promise<ProjectEntity | null> {
    return this.projects.findOneBy({ tenantId, id, deletedAt: IsNull() });
  }

  public list(tenantId: string, page: PageQuery): Promise<[ProjectEntity[], number]> {
    return this.projects.findAndCount({
      where: { tenantId, deletedAt: IsNull() },
      order: { createdAt: 'DESC', id: 'DESC' },
      skip: Number(offsetOf(page)),
      take: page.limit,
    });
  }

  public async update(
    manager: EntityManager,
    tenantId: string,
    id: string,
    change: ProjectChange,
  ): Promise<ProjectEntity | null> {
    const projects = manager.getRepository(ProjectEntity);
    const one = { tenantId, id, deletedAt: IsNull() };
    await projects.update(one, change);
    return projects.findOneBy(one);
  }

  /** Marks the project; false when the tenant has none of this id. */
  public async markDeleted(manager: EntityManager, tenantId: string, id: string): Promise<boolean> {
    const { affected } = await manager
      .getRepository(ProjectEntity)
      .update({ tenantId, id, deletedAt: IsNull() }, { deletedAt: new Date() });
    return affected === 1;
  }
}
