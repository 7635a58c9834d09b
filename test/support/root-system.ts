import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeRoomyFolder } from './roomy-folder.ts';
import { type CliOptions, type RunningCli, startCli } from './run-cli.ts';
import { findTool } from './tools.ts';

const run = promisify(execFile);

/** The Debian that the packages are for, and where apt finds it. */
const SUITE = 'bookworm';
const MIRROR = 'http://deb.debian.org/debian';

export interface RootSystemOptions {
  /** Packages beside the essential ones. */
  readonly include: readonly string[];
  /** Debian's name of another machine: the files alone then, for an emulator; nothing is set up. */
  readonly foreign?: string;
}

/** A Debian in a folder that has nothing but its essential packages: what a new machine is. Made from the mirror, run by chroot. */
export class RootSystem {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make({ include, foreign }: RootSystemOptions): Promise<RootSystem> {
    const folder = makeRoomyFolder('backdial-root-');
    const variant =
      foreign === undefined ? ['--variant=essential'] : ['--variant=extract', `--architectures=${foreign}`];
    const flags = ['--quiet', '--mode=root', '--skip=check/empty', ...variant, `--include=${include.join(',')}`];
    const [program, ...args] = asRoot(findTool('mmdebstrap'), ...flags, SUITE, folder, MIRROR);
    await run(program, args);
    return new RootSystem(folder);
  }

  /** Another one, as this one is now. */
  copy(): RootSystem {
    const folder = makeRoomyFolder('backdial-root-');
    const [program, ...args] = asRoot('cp', '-a', '--reflink=auto', `${this.folder}/.`, folder);
    execFileSync(program, args);
    return new RootSystem(folder);
  }

  /** Where a path of the system is outside. */
  path(path: string): string {
    return join(this.folder, path);
  }

  /** Runs a program in it, as root, and gives what it printed. */
  run(...args: readonly string[]): string {
    const [program, ...rest] = asRoot('chroot', this.folder, ...args);
    return execFileSync(program, rest, { encoding: 'utf8', stdio: 'pipe', env: ENVIRONMENT });
  }

  /** Starts its `backdial` as the user that the units name. */
  start(args: readonly string[], options: Pick<CliOptions, 'env'> = {}): RunningCli {
    const program = asRoot('chroot', '--userspec=backdial:backdial', this.folder, '/usr/bin/backdial');
    return startCli(args, { ...options, program });
  }

  remove(): void {
    removeAsRoot(this.folder);
  }
}

/** Removes a folder whoever owns what is in it. */
export function removeAsRoot(folder: string): void {
  const [program, ...args] = asRoot('rm', '-rf', '--one-file-system', folder);
  execFileSync(program, args);
}

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };

/** Only root may chroot, and own files of others. */
export function asRoot(program: string, ...args: readonly string[]): [string, ...string[]] {
  return process.getuid?.() === 0 ? [program, ...args] : ['sudo', '-n', program, ...args];
}
