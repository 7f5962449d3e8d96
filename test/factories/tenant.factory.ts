import { randomUUID } from 'node:crypto';
import type { Api } from '../support/api';
import { insert } from './insert';

export interface TenantRow {
  readonly id: string;
  readonly name: string;
}

/** Makes a tenant by SQL. */
export class TenantFactory {
  private constructor(
    private readonly api: Api,
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  public static from(api: Api, values: Readonly<Record<string, unknown>> = {}): TenantFactory {
    return new TenantFactory(api, { name: `tenant ${randomUUID()}`, ...values });
  }

  public build(): Promise<TenantRow> {
    return insert<TenantRow>(this.api, 'tenants', this.values);
  }
}
