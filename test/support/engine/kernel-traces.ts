import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

const kinds = ['net', 'pid', 'mnt', 'ipc', 'uts'] as const;

/** What the kernel holds for a process of a build beside the process: namespaces, interfaces, control groups. */
export class KernelTraces {
  private constructor(
    /** As `/proc/PID/ns` names them, such as `net:[4026532281]`. */
    private readonly namespaces: readonly string[],
    /** Numbers of interfaces of the host whose other ends are in the build's network. */
    private readonly interfaces: readonly string[],
    private readonly cgroups: readonly string[],
  ) {}

  /** Of a living process; what it shares with this one is not its own. */
  public static of(pid: number): KernelTraces {
    const links = execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', '-o', 'link', 'show'], { encoding: 'utf8' });
    const own = new Set(cgroupsOf('self'));
    return new KernelTraces(
      namespacesOf(String(pid)).filter((each) => !namespacesOf('self').includes(each)),
      [...links.matchAll(/@if(\d+):/g)].map(([, index]) => index ?? ''),
      cgroupsOf(String(pid)).filter((each) => !own.has(each)),
    );
  }

  /** Whether the build had a network of its own that reaches the host. */
  public get hasWayOut(): boolean {
    return this.interfaces.length > 0;
  }

  /** How many namespaces it has that this process is not in. */
  public get ownNamespaces(): number {
    return this.namespaces.length;
  }

  /** What is still there. */
  public left(): string[] {
    const used = new Set(processes().flatMap(namespacesOf));
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    const links = execFileSync('ip', ['-o', 'link', 'show'], { encoding: 'utf8' }).split('\n');
    return [
      ...this.namespaces.filter((each) => used.has(each) || mounts.includes(each)),
      ...this.interfaces.filter((index) => links.some((line) => line.startsWith(`${index}:`))),
      ...this.cgroups.filter((each) => existsSync(each)),
    ];
  }
}

/** Whether a mount of this host shows the text in its line. */
export function isMounted(text: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(text);
}

function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function namespacesOf(pid: string): string[] {
  return kinds.flatMap((kind) => {
    try {
      return [readlinkSync(`/proc/${pid}/ns/${kind}`)];
    } catch {
      // It has ended, or is about to.
      return [];
    }
  });
}

/** The directories of the control groups in which it is, of both versions. */
function cgroupsOf(pid: string): string[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  return lines.flatMap((line) => {
    const [, controllers = '', ...rest] = line.split(':');
    const group = rest.join(':');
    return ['', controllers, controllers.replace('name=', ''), 'unified']
      .map((controller) => path.join('/sys/fs/cgroup', controller, group))
      .filter((directory) => existsSync(directory));
  });
}
