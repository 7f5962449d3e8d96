import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LogFile } from './log-file';

describe('the log of the embedded PostgreSQL', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'log-file-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('moves away what has grown too big, and keeps one such file', () => {
    const big = 6 * 1024 * 1024;
    for (const round of ['first', 'second']) {
      writeFileSync(path.join(directory, 'postgres.log'), round.padEnd(big, '.'));
      new LogFile(directory).close();
      expect(statSync(path.join(directory, 'postgres.log')).size).toBe(0);
      expect(statSync(path.join(directory, 'postgres.log.1')).size).toBe(big);
    }
    expect(readdirSync(directory)).toEqual(['postgres.log', 'postgres.log.1']);
  });

  it('tells the last complaint of this start only', () => {
    const log = new LogFile(directory);
    writeSync(log.descriptor, '2026-11-22 [7] FATAL:  an old complaint\n');
    const start = log.size();
    expect(log.lastComplaint(start)).toBeUndefined();
    writeSync(log.descriptor, '2026-11-22 [9] LOG:  starting\n2026-11-22 [9] FATAL:  the disk is full\n');
    expect(log.lastComplaint(start)).toBe('the disk is full');
    log.close();
  });
});
