import { cutAt, longestLine } from './line-splitter';
import type { SecretMask } from './secret-mask';
import { TerminalFilter } from './terminal-filter';

/**
 * Makes one line of a text of ours that quotes what others wrote, such as a Dockerfile: the same that holds for the lines
 * of commands holds for it.
 */
export function plainLine(text: string, mask: SecretMask, mostBytes = longestLine): string {
  const harmless = new TerminalFilter().write(text.replace(/\p{Surrogate}/gu, '\uFFFD')).replace(/[\r\n]+/g, ' ');
  const shown = mask.apply(harmless);
  return Buffer.byteLength(shown) <= mostBytes ? shown : shown.slice(0, cutAt(shown, mostBytes));
}
