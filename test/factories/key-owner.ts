import type { CreateApiKeyDto, CreatedApiKeyDto } from '../../src/api-keys/api-key.dto';
import { type Permission, permissionsOf, type Role } from '../../src/access/permission';
import type { Caller } from '../support/caller';
import { UserFactory } from './user.factory';
import type { World } from './world';

/** What is sent to make a key. */
export const keyWish = (changes: Partial<CreateApiKeyDto> = {}): object => ({
  name: 'nightly',
  permissions: ['build:read', 'build:list'],
  ...changes,
});

/** A user of ours, signed in, who makes API keys. */
export class KeyOwner {
  private constructor(
    public readonly id: string,
    public readonly caller: Caller,
  ) {}

  /** @param values columns of the user's row */
  public static async make(
    world: World,
    role: Role,
    values: Readonly<Record<string, unknown>> = {},
  ): Promise<KeyOwner> {
    const { api, tenantId } = world;
    const { id } = await UserFactory.from(api, tenantId, { role, ...values }).build();
    const permissions = permissionsOf(role, values.platform_admin === true);
    return new KeyOwner(id, api.as({ userId: id, tenantId, permissions }));
  }

  /** A new key; without a wish it may read builds. */
  public async key(...permissions: Permission[]): Promise<CreatedApiKeyDto> {
    const wish = keyWish(permissions.length > 0 ? { permissions } : {});
    return (await this.caller.post<CreatedApiKeyDto>('/api-keys', wish)).expect(201);
  }
}
