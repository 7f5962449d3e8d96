// The static busybox that the sample project's image is made of.
import { readFileSync } from 'node:fs';

const places = ['/bin/busybox', '/usr/bin/busybox'];
const interpreterHeader = 3;

/** @throws Error that says what to install. */
export function findBusybox() {
  const found = places.find(isStatic);
  if (found === undefined) {
    throw new Error('The sample project needs a statically linked busybox: install the package busybox-static.');
  }
  return found;
}

/** A 64-bit little-endian ELF program is static when no program header names an interpreter (elf(5)). */
function isStatic(file) {
  let elf;
  try {
    elf = readFileSync(file);
  } catch {
    return false;
  }
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46) return false;
  const headers = Number(elf.readBigUInt64LE(32));
  const size = elf.readUInt16LE(54);
  const count = elf.readUInt16LE(56);
  return Array.from({ length: count }, (_, index) => elf.readUInt32LE(headers + index * size)).every(
    (type) => type !== interpreterHeader,
  );
}
