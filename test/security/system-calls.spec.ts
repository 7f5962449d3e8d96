import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineRoom, shell } from '../support/engine/engine-room';
import { programOf, type SystemCall } from '../support/engine/system-call';

// What a step asks of the kernel. The numbers are those of x86-64.
const onX64 = process.arch === 'x64' ? describe : describe.skip;

const absent = 38;
const [cloneVm, cloneSignals, cloneThread, cloneFiles] = [0x100, 0x800, 0x10000, 0x400];

const refused: Readonly<Record<string, SystemCall>> = {
  'keyctl of the session keyring': { number: 250, args: [0, -3, 0] },
  add_key: { number: 248, args: [] },
  request_key: { number: 249, args: [] },
  'a socket of VSOCK': { number: 41, args: [40, 1, 0] },
  'unshare of open files': { number: 272, args: [cloneFiles] },
  'a thread with open files of its own': { number: 56, args: [cloneThread | cloneSignals | cloneVm] },
  clone3: { number: 435, args: [] },
  'close_range with open files of its own': { number: 436, args: [100, 200, 2] },
};

const allowed: Readonly<Record<string, SystemCall>> = {
  'a socket of IPv4': { number: 41, args: [2, 1, 0] },
  'a socket of Unix': { number: 41, args: [1, 1, 0] },
  getpid: { number: 39, args: [] },
  close_range: { number: 436, args: [100, 200, 0] },
  'unshare of the working directory': { number: 272, args: [0x200] },
};

onX64('a step', () => {
  let room: EngineRoom;
  const statuses = new Map<string, number>();

  beforeAll(async () => {
    room = await EngineRoom.open();
    const calls = Object.entries({ ...refused, ...allowed });
    const runs = calls.map(([name], index) => `/calls/${index}; echo "status $? of ${name}"`).join('\n');
    const Dockerfile = `${shell}COPY calls /calls\nCOPY script /script\nRUN sh /script\n`;
    const { job, output, signal } = await room.prepare({ Dockerfile, script: `${runs}\n`, 'calls/.keep': '' }, {});
    for (const [index, [, call]] of calls.entries()) {
      const file = path.join(job.checkoutDir, 'calls', String(index));
      await writeFile(file, programOf(call));
      await chmod(file, 0o755);
    }
    await room.builder.build(job, output, signal);
    for (const message of output.messages()) {
      const [, status, name] = /^status (\d+) of (.+)$/.exec(message) ?? [];
      if (name !== undefined) statuses.set(name, Number(status));
    }
  }, 120_000);

  afterAll(() => room.close());

  it.each(Object.keys(refused))('is told that there is no such call: %s', (name) => {
    expect(statuses.get(name)).toBe(absent);
  });

  it.each(Object.keys(allowed))('may make the call: %s', (name) => {
    expect([...statuses.keys()]).toContain(name);
    expect(statuses.get(name)).not.toBe(absent);
  });
});
