import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { ENV, type Env } from '../config/env';
import { query } from '../database/query';
import { UsersRepository } from '../users/users.repository';
import { hashPassword } from '../users/password';
import { UsersService } from '../users/users.service';
import { TenantsRepository } from './tenants.repository';

const defaultEmail = 'admin@image-factory.local';

/** Makes the first tenant and the platform admin in an empty database. */
@Injectable()
export class BootstrapAdmin implements OnApplicationBootstrap {
  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly dataSource: DataSource,
    private readonly tenants: TenantsRepository,
    private readonly users: UsersRepository,
    private readonly accounts: UsersService,
  ) {}

  public async onApplicationBootstrap(): Promise<void> {
    const email = this.env.BOOTSTRAP_ADMIN_EMAIL ?? defaultEmail;
    const password = this.env.BOOTSTRAP_ADMIN_PASSWORD ?? randomBytes(18).toString('base64url');
    const made = await this.dataSource.transaction(async (manager) => {
      // Several replicas may start at once on an empty database: one of them makes the admin.
      await query(manager, `SELECT pg_advisory_xact_lock(hashtext('image-factory bootstrap'))`);
      if (await this.users.existsPlatformAdmin(manager)) return false;
      const tenant = await this.tenants.insert(manager, 'default', []);
      const passwordHash = await hashPassword(password, tenant.id);
      await this.accounts.open(manager, {
        tenantId: tenant.id,
        email,
        passwordHash,
        name: 'Administrator',
        role: 'admin',
        platformAdmin: true,
      });
      return true;
    });
    if (made && this.env.BOOTSTRAP_ADMIN_PASSWORD === undefined) {
      // Printed once, to the terminal and never to the log: it is stored nowhere but as a hash.
      process.stdout.write(`First start: sign in as ${email} with the password ${password} (shown only now).\n`);
    }
  }
}
