import { readdirSync, readFileSync } from 'node:fs';
import type { Findings } from './findings';

/** In the arguments of a cage in which an engine works: the build, and the process that owns the cage. */
const engineCage = /\/scratch\/([0-9a-f-]{36})\.(\d+-\d+-\d+)\.[^\0]*\0scratch\0rw\0/;

const lookMs = 400;

/** Looks at the processes of this machine for builds that run a second time. */
export class Sightings {
  private readonly owners = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined;

  public constructor(
    private readonly root: string,
    private readonly findings: Findings,
  ) {}

  public start(): void {
    this.timer = setInterval(() => {
      this.look();
    }, lookMs);
  }

  public stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const command = commandOf(pid);
      if (!command.includes(this.root)) continue;
      const [, buildId, owner] = engineCage.exec(command) ?? [];
      if (buildId === undefined || owner === undefined) continue;
      const first = this.owners.get(buildId) ?? owner;
      this.owners.set(buildId, first);
      if (first === owner) continue;
      this.findings.add('doubled', `build ${buildId} runs at ${owner}, and ran at ${first} before`, buildId);
      this.stop();
      return;
    }
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
