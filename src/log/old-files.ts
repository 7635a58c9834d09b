import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { LogFileName } from './file-name.ts';

/** What is done with files that were put aside. */
export interface OldFilesOptions {
  readonly name: LogFileName;
  /** How many stay. 0: all. */
  readonly keep: number;
  readonly gzip: boolean;
  /** Called with what could not be removed or compressed; the next {@link OldFiles.tidy} tries again. */
  readonly onError: (error: Error) => void;
}

/** Removes and compresses what was put aside, off the event loop, one file at a time. What a crash left half done is done again. */
export class OldFiles {
  readonly #options: OldFilesOptions;
  readonly #closed = new AbortController();
  #current = '';
  #again = false;
  #running: Promise<void> | null = null;

  constructor(options: OldFilesOptions) {
    this.#options = options;
  }

  /** Starts tidying up; `current` is the file that is left alone. While it runs, it is remembered and done once more. */
  tidy(current: string): void {
    this.#current = current;
    if (this.#running !== null) this.#again = true;
    else this.#running = this.#run();
  }

  /** Stops; a compression that is under way begins anew with the next start. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#tidy();
      } catch (error) {
        if (!this.#closed.signal.aborted) this.#options.onError(error as Error);
      }
    } while (this.#again && !this.#closed.signal.aborted);
    this.#running = null;
  }

  async #tidy(): Promise<void> {
    const { name, keep, gzip } = this.#options;
    const found = name.old(await readdir(name.folder), this.#current);
    for (const { path, form } of found) if (form === 'unfinished') await rm(path, { force: true });
    const files = found.filter(({ form }) => form !== 'unfinished');
    // A file and its compressed form count as one: a crash may have left both.
    const ages = [...new Set(files.map(({ age }) => age))];
    const gone = new Set(keep === 0 ? [] : ages.slice(0, -keep));
    for (const { path, age } of files) if (gone.has(age)) await rm(path, { force: true });
    for (const { path, age, form } of gzip ? files : []) {
      // More was put aside meanwhile: no work for what is to go.
      if (this.#again || this.#closed.signal.aborted) return;
      if (form === 'plain' && !gone.has(age)) await this.#compress(path);
    }
  }

  async #compress(path: string): Promise<void> {
    const { mode, size } = await stat(path);
    const unfinished = `${path}.gz.tmp`;
    try {
      const signal = this.#closed.signal;
      await pipeline(createReadStream(path), createGzip(), createWriteStream(unfinished, { mode }), { signal });
      // Another process may still write to it, as one that drains does.
      if ((await stat(path)).size !== size) throw new Error('it still grows; it is compressed later');
      await rename(unfinished, `${path}.gz`);
      await rm(path);
    } catch (error) {
      await rm(unfinished, { force: true });
      if (this.#closed.signal.aborted) throw error;
      throw new Error(`${path} is not compressed: ${(error as Error).message}`, { cause: error });
    }
  }
}
