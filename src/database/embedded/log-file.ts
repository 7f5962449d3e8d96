import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

const mostBytes = 5 * 1024 * 1024;
const checkEveryMs = 10_000;

/**
 * The file that the server writes its log to, and one older file beside it. The server appends by itself, so it can
 * log after our death; what it wrote is moved away when it has grown past 5 MiB.
 */
export class LogFile {
  /** For the server's stdout and stderr. */
  public readonly descriptor: number;
  private readonly file: string;
  private readonly timer: NodeJS.Timeout;

  public constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.file = path.join(directory, 'postgres.log');
    this.descriptor = openSync(
      this.file,
      constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW,
      0o600,
    );
    this.bound();
    this.timer = setInterval(() => {
      this.bound();
    }, checkEveryMs).unref();
  }

  /** The bytes in the file: where what comes next will begin. */
  public size(): number {
    return fstatSync(this.descriptor).size;
  }

  /** The server's last complaint after byte `from`, without its time; else undefined. */
  public lastComplaint(from: number): string | undefined {
    const text = readFileSync(this.file).subarray(from).toString();
    return [...text.matchAll(/(?:FATAL|PANIC|ERROR|error):\s+(.+)/g)].at(-1)?.[1];
  }

  public close(): void {
    clearInterval(this.timer);
    closeSync(this.descriptor);
  }

  private bound(): void {
    if (this.size() < mostBytes) return;
    writeFileSync(`${this.file}.1`, readFileSync(this.file), { mode: 0o600 });
    ftruncateSync(this.descriptor);
  }
}
