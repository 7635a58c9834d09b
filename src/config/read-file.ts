import { type BigIntStats, close, constants, fstat, open, read, stat } from 'node:fs';
import { promisify } from 'node:util';

/** What came of reading a file. */
export type FileRead =
  | {
      readonly ok: true;
      readonly text: string;
      /** Whether users other than owner and group may read it. */
      readonly open: boolean;
    }
  | {
      readonly ok: false;
      /** The end of a sentence that begins with the file: `does not exist`. */
      readonly fault: string;
    };

/** What came of reading a file, and what tells that it did not change since. */
export interface FileState {
  readonly read: FileRead;
  /** As {@link fileSignature}, from before the content was read: what changes meanwhile gives another one. */
  readonly signature: string | null;
}

/** Enough for any file that people or their tools write. */
const MAX_FILE_BYTES = 1_000_000;
/** A file that is younger may change again without another time: file systems count time in ticks. */
const TICK_MS = 1_000;

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is no folder',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  EISDIR: 'is a folder',
  ELOOP: 'is a loop of links',
};

// Folders may have 10,000 files, and this costs half of what FileHandle does.
const fs = {
  open: promisify(open),
  stat: promisify(stat),
  fstat: promisify(fstat) as (file: number, options: { bigint: true }) => Promise<BigIntStats>,
  read: promisify(read),
  close: promisify(close),
};

/** Reads a text file of at most {@link MAX_FILE_BYTES}. Never waits for a pipe, never throws. */
export async function readTextFile(path: string): Promise<FileState> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    const file = await fs.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0), 0);
    try {
      const stats = await fs.fstat(file, { bigint: true });
      return { read: await readOpen(file, stats), signature: signatureOf(stats) };
    } finally {
      await fs.close(file);
    }
  } catch (error) {
    return { read: { ok: false, fault: faultOf(error) }, signature: null };
  }
}

/** What changes whenever the file (that links lead to) does; null where that cannot be relied on. */
export async function fileSignature(path: string): Promise<string | null> {
  try {
    return signatureOf(await fs.stat(path, { bigint: true }));
  } catch {
    return null;
  }
}

/** Why a file or folder cannot be used, as the end of a sentence. */
export function faultOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : FAULTS[code]) ?? `cannot be read (${code ?? message})`;
}

function signatureOf({ dev, ino, mode, size, mtimeNs, ctimeNs, ctimeMs }: BigIntStats): string | null {
  if (Date.now() - Number(ctimeMs) < TICK_MS) return null;
  return `${dev} ${ino} ${mode} ${size} ${mtimeNs} ${ctimeNs}`;
}

async function readOpen(file: number, stats: BigIntStats): Promise<FileRead> {
  if (stats.isDirectory()) return { ok: false, fault: 'is a folder' };
  if (!stats.isFile()) return { ok: false, fault: 'is not a regular file' };
  const buffer = Buffer.alloc(Math.min(Number(stats.size), MAX_FILE_BYTES) + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await fs.read(file, buffer, length, buffer.length - length, null);
    length += bytesRead;
    // What was all there was a moment ago is all: a file that grows meanwhile is read again.
    if (bytesRead === 0 || length === buffer.length || (length > 0 && length === Number(stats.size))) break;
  }
  if (length > MAX_FILE_BYTES) return { ok: false, fault: `has more than ${MAX_FILE_BYTES} bytes` };
  return decode(buffer.subarray(0, length), (Number(stats.mode) & 0o004) !== 0);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(bytes: Buffer, open: boolean): FileRead {
  try {
    return { ok: true, text: utf8.decode(bytes), open };
  } catch {
    return { ok: false, fault: 'is not UTF-8 text' };
  }
}
