import { readFileSync, readlinkSync } from 'node:fs';

/** A socket of this process, as the kernel describes it. */
export interface SocketFacts {
  /** Null where the kernel lists the socket nowhere: it is not bound, or belongs to another network namespace. */
  readonly listening: boolean | null;
  /** Of a Unix socket. */
  readonly path: string | null;
}

/** Descriptors that were listened at once; their numbers may belong to others by now, a visitor for instance. */
const taken = new Set<number>();

/** What is wrong with listening at a descriptor that another process opened; null when nothing is known against it. */
export function descriptorFault(fd: number): string | null {
  if (taken.has(fd)) return 'it was listened at before and is closed by now; a restart hands it over again';
  const link = linkOf(fd);
  if (link === undefined) return null;
  if (link === null) return 'no such descriptor was handed over';
  const facts = socketFacts(fd);
  if (facts === null) return `it is no socket but ${link}`;
  return facts.listening === false ? NOT_LISTENING : null;
}

export const NOT_LISTENING = 'the socket does not listen; hand over a listening one (systemd: Accept=no, inetd: wait)';

/** From now on the descriptor is this process's own to close. */
export function takeDescriptor(fd: number): void {
  taken.add(fd);
}

/** What the kernel tells of a descriptor; null where it is no socket, or the system has no /proc. */
export function socketFacts(fd: number): SocketFacts | null {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd) ?? '')?.[1];
  if (inode === undefined) return null;
  for (const table of ['tcp', 'tcp6']) {
    // ... local remote st tx:rx tr:when retrnsmt uid timeout inode ...
    const row = rowOf(table, (columns) => columns[9] === inode);
    if (row !== null) return { listening: row[3] === LISTEN, path: null };
  }
  // Num: RefCount Protocol Flags Type St Inode Path
  const row = rowOf('unix', (columns) => columns[6] === inode);
  if (row === null) return { listening: null, path: null };
  const listening = (Number.parseInt(row[3] ?? '', 16) & ACCEPTS) !== 0;
  return { listening, path: row[7] ?? null };
}

/** `TCP_LISTEN`. */
const LISTEN = '0A';
/** `__SO_ACCEPTCON`. */
const ACCEPTS = 0x10000;

function rowOf(table: string, matches: (columns: readonly string[]) => boolean): readonly string[] | null {
  for (const line of readTable(table).split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (matches(columns)) return columns;
  }
  return null;
}

function readTable(table: string): string {
  try {
    return readFileSync(`/proc/self/net/${table}`, 'utf8');
  } catch {
    return '';
  }
}

/** What stands behind a descriptor; null: nothing; undefined: the system does not tell. */
function linkOf(fd: number): string | null | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    try {
      readlinkSync('/proc/self/fd/1');
      return null;
    } catch {
      return undefined;
    }
  }
}
