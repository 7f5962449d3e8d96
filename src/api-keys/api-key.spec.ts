import { hashOfApiKey, looksLikeApiKey, newApiKey, prefixOfApiKey } from './api-key';

describe('an API key', () => {
  it('is a mark, 256 random bits beside the prefix, and a checksum', () => {
    const { key, prefix } = newApiKey();
    expect(key).toMatch(/^imgf_[0-9A-Za-z]{61}$/);
    expect(key.startsWith(prefix)).toBe(true);
    // What is neither prefix nor checksum is secret.
    const secret = key.length - prefix.length - 6;
    expect(secret * Math.log2(62)).toBeGreaterThan(256);
    expect(looksLikeApiKey(key)).toBe(true);
    expect(prefixOfApiKey(key)).toBe(prefix);
  });

  it('is another one each time, of all digits', () => {
    const keys = Array.from({ length: 500 }, () => newApiKey());
    expect(new Set(keys.map(({ prefix }) => prefix)).size).toBe(keys.length);
    expect(new Set(keys.flatMap(({ key }) => Array.from(key.slice(5)))).size).toBe(62);
  });

  it('has the checksum that was published with the form, so that scanners can rely on it', () => {
    const body = `imgf_${'0'.repeat(55)}`;
    expect(prefixOfApiKey(`${body}1UO3lF`)).toBe('imgf_000000000000');
  });

  it('is known as mistyped without asking anybody', () => {
    const { key } = newApiKey();
    const other = (digit: string): string => (digit === 'x' ? 'y' : 'x');
    for (let index = 0; index < key.length; index += 1) {
      expect(prefixOfApiKey(key.slice(0, index) + other(key.charAt(index)) + key.slice(index + 1))).toBeNull();
    }
    for (const wrong of ['', 'imgf_', key.slice(0, -1), `${key}0`, `${key}\n`, key.toLowerCase(), ` ${key}`]) {
      expect(prefixOfApiKey(wrong)).toBeNull();
    }
  });

  it('is hashed as a whole', () => {
    const { key } = newApiKey();
    expect(hashOfApiKey(key)).toHaveLength(32);
    expect(hashOfApiKey(key).equals(hashOfApiKey(key))).toBe(true);
    expect(hashOfApiKey(key).equals(hashOfApiKey(newApiKey().key))).toBe(false);
  });
});
