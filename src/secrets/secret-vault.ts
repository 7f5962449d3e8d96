import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import type { Credential, ProjectSecrets, SecretKind } from './secret';
import { SealBroken, type Sealed, SecretBox } from './secret-box';
import { type SealedSecret, type SecretOwner, SecretsRepository } from './secrets.repository';

/** A project's secret cannot be decrypted; the message says which, why, and what to do. */
export class SecretUnreadable extends Error {
  public override readonly name = 'SecretUnreadable';
}

/** What a value is bound to: a row that says anything else of it does not decrypt. */
export interface SecretPlace extends SecretOwner {
  readonly name: string;
  readonly kind: SecretKind;
  readonly scope: string | null;
  readonly username: string | null;
}

/** How many are encrypted anew at a time. */
const batch = 100;

const advice = {
  'unknown key': 'it was stored under another SECRETS_KEY',
  'not authentic': 'it was changed in the database',
};

function partsOf({ tenantId, projectId, name, kind, scope, username }: SecretPlace): (string | null)[] {
  return [tenantId, projectId, name, kind, scope, username];
}

/** Encrypts the secrets of projects, and decrypts them for their builds alone. */
@Injectable()
export class SecretVault implements OnApplicationBootstrap {
  private readonly logger = new Logger(SecretVault.name);

  public constructor(
    private readonly box: SecretBox,
    private readonly secrets: SecretsRepository,
  ) {}

  /** False without a key: then nothing can be stored. */
  public get isOpen(): boolean {
    return this.box.keyId !== null;
  }

  public seal(value: string, place: SecretPlace): Sealed {
    return this.box.seal(value, partsOf(place));
  }

  /**
   * All secrets of a project, as they are now.
   * @throws SecretUnreadable when one cannot be decrypted: without it its text would not be masked either.
   */
  public async open(owner: SecretOwner): Promise<ProjectSecrets> {
    const rows = await this.secrets.sealed(owner);
    const opened = rows.map((row) => ({ ...row, value: this.read(row) }));
    const credentials = (wanted: SecretKind): Credential[] =>
      opened
        .filter(({ kind }) => kind === wanted)
        .map(({ scope, username, value }) => ({ scope: scope ?? '', username: username ?? '', password: value }));
    return {
      build: new Map(opened.filter(({ kind }) => kind === 'build').map(({ name, value }) => [name, value])),
      git: credentials('git'),
      registries: credentials('registry'),
    };
  }

  /** A key that was put before another takes over what that one encrypted, so that the other can be left out one day. */
  public async onApplicationBootstrap(): Promise<void> {
    const { keyId } = this.box;
    if (keyId === null) {
      this.logger.log('Projects can have no secrets: SECRETS_KEY is not set');
      return;
    }
    try {
      await this.reseal(keyId);
    } catch (error) {
      this.logger.error(error, 'Secrets of an older key could not be encrypted anew; the next start tries again');
    }
  }

  private async reseal(keyId: string): Promise<void> {
    let [resealed, unreadable] = [0, 0];
    let rows: SealedSecret[] = [];
    do {
      rows = await this.secrets.sealedByOthers(keyId, rows.at(-1) ?? null, batch);
      for (const row of rows) {
        const value = this.tryToRead(row);
        if (value === null) unreadable += 1;
        else await this.secrets.reseal(row, this.seal(value, row)).then(() => (resealed += 1));
      }
    } while (rows.length === batch);
    if (resealed > 0) this.logger.log(`${resealed} secrets were encrypted anew by the first key of SECRETS_KEY`);
    if (unreadable > 0) this.logger.error(`${unreadable} secrets cannot be decrypted by any key of SECRETS_KEY`);
  }

  private tryToRead(row: SealedSecret): string | null {
    try {
      return this.read(row);
    } catch (error) {
      if (error instanceof SecretUnreadable) return null;
      throw error;
    }
  }

  private read(row: SealedSecret): string {
    try {
      return this.box.open(row, partsOf(row));
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error;
      const reason = `The secret "${row.name}" of the project cannot be decrypted: ${advice[error.why]}; store it again`;
      throw new SecretUnreadable(reason, { cause: error });
    }
  }
}
