import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What happened in a run, in order, in a directory that is kept when something was found. */
export class Journal {
  public readonly directory = mkdtempSync(path.join(tmpdir(), 'image-factory-chaos-'));

  /** Notes what was done to a process, the database or a build. */
  public note(event: string): void {
    appendFileSync(path.join(this.directory, 'events.log'), `${new Date().toISOString()} ${event}\n`);
  }

  /** Keeps what a process printed. */
  public keep(name: string, output: readonly string[]): void {
    writeFileSync(path.join(this.directory, `${name}.log`), `${output.join('\n')}\n`);
  }

  public remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
