import { randomUUID } from 'node:crypto';
import { hashPassword } from '../../src/users/password';
import type { Api } from '../support/api';
import { insert } from './insert';

/** The password of every user that is made here. */
export const password = 'correct horse battery staple';
let hash: Promise<string> | undefined;

export interface UserRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly email: string;
}

/** Makes a user by SQL, a viewer unless told otherwise. */
export class UserFactory {
  private constructor(
    private readonly api: Api,
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  public static from(api: Api, tenantId: string, values: Readonly<Record<string, unknown>> = {}): UserFactory {
    return new UserFactory(api, {
      tenant_id: tenantId,
      email: `${randomUUID()}@example.com`,
      name: 'Somebody',
      role: 'viewer',
      ...values,
    });
  }

  public async build(): Promise<UserRow> {
    hash ??= hashPassword(password, 'tests');
    return insert<UserRow>(this.api, 'users', { password_hash: await hash, ...this.values });
  }
}
