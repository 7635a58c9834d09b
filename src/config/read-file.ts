import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Unusable } from './advice.ts';

/** What came of reading a file. */
export type FileRead =
  | {
      readonly ok: true;
      readonly text: string;
      /** Whether users other than owner and group may read it. */
      readonly open: boolean;
    }
  | ({ readonly ok: false } & Unusable);

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
  EISDIR: 'is a folder; name the file in it',
  ELOOP: 'is a loop of links',
};

/**
 * Reads a text file of at most {@link MAX_FILE_BYTES}. Never waits for a pipe, never throws. Blocks, for some microseconds:
 * thread by thread, 10,000 files would cost seven times the CPU.
 */
export function readTextFile(path: string): FileState {
  let file: number | null = null;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = fstatSync(file, { bigint: true });
    return { read: readOpen(file, stats), signature: signatureOf(stats) };
  } catch (error) {
    return { read: { ok: false, ...unusable(error) }, signature: null };
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** What changes whenever the file (that links lead to) does; null where that cannot be relied on. */
export function fileSignature(path: string): string | null {
  try {
    return signatureOf(statSync(path, { bigint: true }));
  } catch {
    return null;
  }
}

/** Why a file or folder cannot be used. */
export function unusable(error: unknown): Unusable {
  return { fault: faultOf(error), missing: (error as NodeJS.ErrnoException).code === 'ENOENT' };
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

function readOpen(file: number, stats: BigIntStats): FileRead {
  if (stats.isDirectory()) return { ok: false, fault: 'is a folder; name the file in it', missing: false };
  if (!stats.isFile()) return { ok: false, fault: 'is not a regular file', missing: false };
  const buffer = Buffer.alloc(Math.min(Number(stats.size), MAX_FILE_BYTES) + 1);
  let length = 0;
  for (;;) {
    const bytesRead = readSync(file, buffer, length, buffer.length - length, null);
    length += bytesRead;
    // What was all there was a moment ago is all: a file that grows meanwhile is read again.
    if (bytesRead === 0 || length === buffer.length || (length > 0 && length === Number(stats.size))) break;
  }
  if (length > MAX_FILE_BYTES) return { ok: false, fault: `has more than ${MAX_FILE_BYTES} bytes`, missing: false };
  return decode(buffer.subarray(0, length), (Number(stats.mode) & 0o004) !== 0);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(bytes: Buffer, open: boolean): FileRead {
  try {
    return { ok: true, text: utf8.decode(bytes), open };
  } catch {
    return { ok: false, fault: 'is not UTF-8 text', missing: false };
  }
}
