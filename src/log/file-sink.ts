import { closeSync, openSync, writeSync } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import type { LogFile } from '../core/log-destination.ts';
import { LogFileName } from './file-name.ts';
import { OldFiles } from './old-files.ts';
import type { Sink, Written } from './pump.ts';

/** Who visits what is not for everyone on the machine. */
const MODE = 0o640;
/** What one write takes at most, bytes. */
const BATCH_BYTES = 256 * 1024;
/** After a rotation that failed, how long the file grows on before the next attempt, ms. */
const ROTATION_RETRY_MS = 60_000;
/** Between two looks at whether the path still means the file that is open, ms. */
const LOOK_MS = 1_000;
const LINE_FEED = 10;

/** What a {@link FileSink} needs beside its settings. */
export interface FileSinkOptions {
  /** Called with what fails beside the writing of lines: rotation, compression. */
  readonly onHint: (error: Error) => void;
  /** Epoch ms. Default `Date.now`. */
  readonly now?: () => number;
}

/** An open file. */
interface Current {
  readonly handle: FileHandle;
  readonly path: string;
  /** Device and number: whether the path still means this file. */
  readonly identity: string;
  /** Only regular files are rotated. */
  readonly regular: boolean;
  size: number;
  /** When the last line was written, epoch ms. */
  touchedMs: number;
  /** When it was last seen under its path, epoch ms. */
  seenMs: number;
}

/**
 * A file that lines are appended to, and its rotation. Own, because pino-roll writes past its size in a burst, and a stream
 * that has met a full disk is dead for good. Each failure closes the file: it may have been removed to make room, or its
 * disk may be another one by now. A line of which the disk took only a part is completed, or ended and written anew.
 */
export class FileSink implements Sink {
  readonly #settings: LogFile;
  readonly #name: LogFileName;
  readonly #old: OldFiles;
  readonly #onHint: (error: Error) => void;
  readonly #now: () => number;
  #current: Current | null = null;
  #reopen = false;
  #writing = false;
  /** Whether there may be files to remove or to compress. */
  #untidy = true;
  /** Bytes of the next line that are in the file `last` already. */
  #torn = 0;
  #last = { identity: '', size: 0 };
  /** How many of the first lines are being written. */
  #busy = 0;
  #rotateAfterMs = 0;
  /** The time in the name of the file that was put aside last. */
  #asideMs = 0;

  constructor(settings: LogFile, options: FileSinkOptions) {
    this.#settings = settings;
    this.#name = new LogFileName(settings.file);
    this.#onHint = options.onHint;
    this.#now = options.now ?? Date.now;
    this.#old = new OldFiles({ name: this.#name, keep: settings.keep, gzip: settings.gzip, onError: this.#onHint });
  }

  async write(lines: readonly string[]): Promise<Written> {
    this.#writing = true;
    try {
      return await this.#append(await this.#fileFor(lines[0] ?? ''), lines);
    } catch (error) {
      return { count: 0, error: error as Error };
    } finally {
      if (this.#reopen) await this.#leave().catch(() => {});
      this.#writing = false;
    }
  }

  writeSync(lines: readonly string[]): number {
    const busy = this.#busy;
    const text = (this.#torn > 0 && busy === 0 ? '\n' : '') + lines.slice(busy).join('');
    const bytes = Buffer.from(text);
    const fd = this.#current?.handle.fd ?? openSync(this.#name.at(this.#now()), 'a', MODE);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    } finally {
      if (this.#current === null) closeSync(fd);
    }
    return busy;
  }

  reopen(): void {
    this.#reopen = true;
    if (!this.#writing) void this.#leave().catch(() => {});
  }

  async close(): Promise<void> {
    await this.#leave().catch(() => {});
    await this.#old.close();
  }

  /** The file that `line` belongs to, after whatever rotation is due. */
  async #fileFor(line: string): Promise<Current> {
    for (;;) {
      const nowMs = this.#now();
      const file = this.#current ?? (await this.#open(this.#name.at(nowMs)));
      // A line that was begun is completed first.
      if (this.#torn > 0) return file;
      if (file.path !== this.#name.at(nowMs)) {
        this.#untidy = true;
        await this.#leave();
      } else if (await this.#isElsewhere(file, nowMs)) await this.#leave();
      else if (!this.#isDue(file, line, nowMs) || !(await this.#putAside(file, nowMs))) return file;
    }
  }

  #isDue(file: Current, line: string, nowMs: number): boolean {
    if (!file.regular || file.size === 0 || nowMs < this.#rotateAfterMs) return false;
    const { daily, maxBytes } = this.#settings;
    if (daily && day(file.touchedMs) !== day(nowMs)) return true;
    return maxBytes > 0 && file.size + Buffer.byteLength(line) > maxBytes;
  }

  /** Whether somebody removed or renamed it, and told nobody. Looks now and then. */
  async #isElsewhere(file: Current, nowMs: number): Promise<boolean> {
    if (!file.regular || Math.abs(nowMs - file.seenMs) < LOOK_MS) return false;
    file.seenMs = nowMs;
    try {
      const stats = await stat(file.path);
      // Somebody may have cut it short (`copytruncate` of logrotate).
      if (identify(stats) === file.identity) file.size = Math.min(file.size, stats.size);
      return identify(stats) !== file.identity;
    } catch (error) {
      // What cannot be looked at can still be written to.
      return (error as NodeJS.ErrnoException).code === 'ENOENT';
    }
  }

  /** True when another file has to be opened; false when this one grows on. */
  async #putAside(file: Current, nowMs: number): Promise<boolean> {
    try {
      // Unless it was put aside by somebody else.
      if ((await identityOf(file.path)) === file.identity) await rename(file.path, await this.#freeName(file));
    } catch (error) {
      this.#rotateAfterMs = nowMs + ROTATION_RETRY_MS;
      this.#onHint(error as Error);
      return false;
    }
    this.#untidy = true;
    await this.#leave();
    return true;
  }

  async #freeName(file: Current): Promise<string> {
    // Names rise, also where a clock does not: by them the oldest is told.
    for (let timeMs = Math.max(file.touchedMs, this.#asideMs + 1); ; timeMs += 1) {
      const path = this.#name.aside(file.path, timeMs);
      this.#asideMs = timeMs;
      if ((await identityOf(path)) === null && (await identityOf(`${path}.gz`)) === null) return path;
    }
  }

  async #open(path: string): Promise<Current> {
    this.#reopen = false;
    const handle = await open(path, 'a+', MODE);
    try {
      const stats = await handle.stat();
      const { size } = stats;
      const identity = identify(stats);
      const regular = stats.isFile();
      const file = { handle, path, identity, regular, size, touchedMs: stats.mtimeMs, seenMs: this.#now() };
      const resumes = this.#torn > 0 && file.identity === this.#last.identity && size === this.#last.size;
      if (!resumes) {
        this.#torn = 0;
        if (file.regular && (await endsInLine(handle, size))) file.size += (await handle.write('\n')).bytesWritten;
      }
      this.#current = file;
      if (file.regular && this.#untidy) this.#old.tidy(path);
      this.#untidy = false;
      return file;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #append(file: Current, lines: readonly string[]): Promise<Written> {
    const count = this.#fitting(file, lines);
    const bytes = Buffer.from(lines.slice(0, count).join(''));
    const nowMs = this.#now();
    let at = this.#torn;
    this.#busy = count;
    try {
      while (at < bytes.length) {
        const { bytesWritten } = await file.handle.write(bytes, at, bytes.length - at, null);
        if (bytesWritten === 0) throw new Error(`${file.path} takes no bytes`);
        at += bytesWritten;
        file.size += bytesWritten;
      }
      this.#torn = 0;
      file.touchedMs = nowMs;
      return { count, error: null };
    } catch (error) {
      const whole = bytes.subarray(0, at).lastIndexOf(LINE_FEED) + 1;
      this.#torn = at - whole;
      await this.#leave().catch(() => {});
      return { count: bytes.toString('latin1', 0, whole).split('\n').length - 1, error: error as Error };
    } finally {
      this.#busy = 0;
    }
  }

  /** How many of the first lines go into this file now: at least one. */
  #fitting(file: Current, lines: readonly string[]): number {
    const { maxBytes } = this.#settings;
    const room = maxBytes === 0 || !file.regular ? BATCH_BYTES : Math.min(BATCH_BYTES, maxBytes - file.size);
    let count = 0;
    let bytes = 0;
    for (const line of lines) {
      bytes += Buffer.byteLength(line);
      if (count > 0 && bytes > room) break;
      count += 1;
    }
    return count;
  }

  async #leave(): Promise<void> {
    const file = this.#current;
    if (file === null) return;
    this.#current = null;
    this.#last = { identity: file.identity, size: file.size };
    await file.handle.close();
  }
}

/** The day of a time, UTC. */
function day(timeMs: number): number {
  return Math.floor(timeMs / 86_400_000);
}

function identify({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

/** What a path means; null where nothing is there. */
async function identityOf(path: string): Promise<string | null> {
  try {
    return identify(await stat(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whether the last byte is none that ends a line: a crash, or a full disk, cut the last line. */
async function endsInLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== LINE_FEED;
}
