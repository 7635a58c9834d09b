import { mkdtempSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const IN_MEMORY = '/dev/shm';
/** Root file systems, executables and images of one run come to about 2 GB. */
const ROOM_BYTES = 6e9;

/** A new folder for gigabytes that are gone a minute later: in memory where there is plenty, for disks take longer than the work. */
export function makeRoomyFolder(prefix: string): string {
  return mkdtempSync(join(hasRoom() ? IN_MEMORY : tmpdir(), prefix));
}

function hasRoom(): boolean {
  try {
    const [, kilobytes = '0'] = /^MemAvailable: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
    const [, options = 'noexec'] =
      /^\S+ \/dev\/shm tmpfs (\S+) /m.exec(readFileSync('/proc/self/mounts', 'utf8')) ?? [];
    const { bavail, bsize } = statfsSync(IN_MEMORY);
    // A root file system needs programs that run, and devices.
    const mayRun = !/\b(?:noexec|nodev)\b/.test(options);
    return mayRun && bavail * bsize > ROOM_BYTES && Number(kilobytes) * 1_024 > 2 * ROOM_BYTES;
  } catch {
    return false;
  }
}
