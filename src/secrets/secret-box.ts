import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** A value that is encrypted and bound to what it belongs to. */
export interface Sealed {
  /** Which key it is under. */
  readonly keyId: string;
  /** Random for each encryption. With 96 bits, two of 2³² under one key are the same with a probability of 2⁻³³. */
  readonly nonce: Buffer;
  /** With the tag at its end. */
  readonly ciphertext: Buffer;
}

/** Why a value cannot be decrypted: its key is not there, or it is not what was encrypted for this place. */
export class SealBroken extends Error {
  public override readonly name = 'SealBroken';

  public constructor(
    public readonly why: 'unknown key' | 'not authentic',
    options?: ErrorOptions,
  ) {
    super(`A secret cannot be decrypted: ${why}`, options);
  }
}

/** Encrypts by AES-256-GCM (NIST SP 800-38D) with the first of its keys, and decrypts with each of them. */
export class SecretBox {
  private readonly keys: ReadonlyMap<string, Buffer>;

  /** @param keys of 32 bytes each */
  public constructor(keys: readonly Buffer[]) {
    this.keys = new Map(keys.map((key) => [idOf(key), key]));
  }

  /** The id of the key that encrypts; null: there is none. */
  public get keyId(): string | null {
    return [...this.keys.keys()][0] ?? null;
  }

  /**
   * @param place what the value belongs to: it can be decrypted for the same place alone
   * @throws Error without a key
   */
  public seal(value: string, place: readonly (string | null)[]): Sealed {
    const [first] = this.keys;
    if (first === undefined) throw new Error('There is no key for secrets');
    const [keyId, key] = first;
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(bytesOf(place));
    const ciphertext = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { keyId, nonce, ciphertext };
  }

  /** @throws SealBroken */
  public open({ keyId, nonce, ciphertext }: Sealed, place: readonly (string | null)[]): string {
    const key = this.keys.get(keyId);
    if (key === undefined) throw new SealBroken('unknown key');
    const end = ciphertext.length - tagBytes;
    try {
      const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
        .setAAD(bytesOf(place))
        .setAuthTag(ciphertext.subarray(end));
      return Buffer.concat([decipher.update(ciphertext.subarray(0, end)), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new SealBroken('not authentic', { cause });
    }
  }
}

/** JSON, as it tells ["a", "bc"] from ["ab", "c"]. */
function bytesOf(place: readonly (string | null)[]): Buffer {
  return Buffer.from(JSON.stringify(['image-factory secret', ...place]));
}

/** Tells keys apart, and nothing of them. */
function idOf(key: Buffer): string {
  return createHmac('sha256', key).update('image-factory key id').digest('hex').slice(0, 16);
}
