/** Reads a key of 256 bits that is written as 64 hex digits or as base64 of either alphabet; null: it is none. */
export function decodeKey(text: string): Buffer | null {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  const isBase64 = /^(?:[A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.test(text);
  return isBase64 ? Buffer.from(text, 'base64') : null;
}
