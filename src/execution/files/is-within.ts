import path from 'node:path';

/** True when `inner` is `outer` or lies below it; both are absolute, and symbolic links are not followed. */
export function isWithin(outer: string, inner: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === '' || (relative !== '..' && !relative.startsWith('../'));
}
