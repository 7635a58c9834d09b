import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

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

/** Enough for any file that people or their tools write. */
const MAX_FILE_BYTES = 1_000_000;

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is no folder',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  EISDIR: 'is a folder',
  ELOOP: 'is a loop of links',
};

/** Reads a text file of at most {@link MAX_FILE_BYTES}. Never waits for a pipe, never throws. */
export async function readTextFile(path: string): Promise<FileRead> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await file.stat();
    if (stats.isDirectory()) return { ok: false, fault: 'is a folder' };
    if (!stats.isFile()) return { ok: false, fault: 'is not a regular file' };
    const buffer = Buffer.alloc(Math.min(stats.size, MAX_FILE_BYTES) + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    if (length > MAX_FILE_BYTES) return { ok: false, fault: `has more than ${MAX_FILE_BYTES} bytes` };
    return decode(buffer.subarray(0, length), (stats.mode & 0o004) !== 0);
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Why a file or folder cannot be used, as the end of a sentence. */
export function faultOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : FAULTS[code]) ?? `cannot be read (${code ?? message})`;
}

function decode(bytes: Buffer, open: boolean): FileRead {
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), open };
  } catch {
    return { ok: false, fault: 'is not UTF-8 text' };
  }
}
