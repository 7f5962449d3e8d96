/** The most general thing that a step can try: one system call, by a static program that needs nothing of its image. */
export interface SystemCall {
  /** As x86-64 numbers them. */
  readonly number: number;
  readonly args: readonly [number?, number?, number?];
}

const [base, headerBytes] = [0x40_0000, 64 + 56];

function move(register: readonly number[], value: number): Buffer {
  const immediate = Buffer.alloc(4);
  immediate.writeInt32LE(value | 0);
  return Buffer.from([...register, ...immediate]);
}

/** An ELF program for x86-64 that makes the call and ends with its errno as the status; a call that was let through ends otherwise. */
export function programOf({ number, args: [first = 0, second = 0, third = 0] }: SystemCall): Buffer {
  const code = Buffer.concat([
    move([0x48, 0xc7, 0xc0], number),
    move([0x48, 0xc7, 0xc7], first),
    move([0x48, 0xc7, 0xc6], second),
    move([0x48, 0xc7, 0xc2], third),
    // syscall; neg rax; mov rdi, rax; mov eax, 60 (exit); syscall
    Buffer.from([0x0f, 0x05, 0x48, 0xf7, 0xd8, 0x48, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
  ]);
  const size = headerBytes + code.length;
  const header = Buffer.alloc(headerBytes);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  // Executable, x86-64, version 1.
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(base + headerBytes), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  // One segment to load, readable and executable.
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(BigInt(base), 80);
  header.writeBigUInt64LE(BigInt(base), 88);
  header.writeBigUInt64LE(BigInt(size), 96);
  header.writeBigUInt64LE(BigInt(size), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, code]);
}
