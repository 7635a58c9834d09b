import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Kernel ticks a second, the unit of utime and stime. */
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU time of a process, all its threads and all its living children, user and system, seconds. */
export function cpuSeconds(pid: number): number {
  return family(pid).reduce((sum, member) => sum + ownTicks(member), 0) / TICKS_PER_SECOND;
}

/** CPU time that several processes spent together, seconds. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

/** Resident memory of a process, without its children, bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (match === null) throw new Error(`process ${pid} has no VmRSS; it ended`);
  return Number(match[1]) * 1024;
}

/** utime + stime (fields 14 and 15) of all threads, and cutime + cstime of children that were waited for. */
function ownTicks(pid: number): number {
  // The name in field 2 may hold spaces and parentheses: what counts starts after the last one.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
}

/** The process and its descendants: nginx and sshd work in children. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(family)];
}
