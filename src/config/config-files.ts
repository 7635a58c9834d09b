import { setImmediate } from 'node:timers/promises';
import type { Problem } from './problems.ts';
import { type FileRead, type FileState, fileSignature, readTextFile } from './read-file.ts';

/** How long files are looked at in one go, ms. */
const SLICE_MS = 4;

/** What was made of a file, what was found then, and of which reads it was made. */
export interface Made<T> {
  readonly value: T;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly reads: ReadonlyMap<string, FileRead>;
}

/**
 * The files of a configuration, kept from one load to the next: what did not change is neither read nor parsed again. What
 * a load did not ask for is forgotten with the next.
 */
export class ConfigFiles {
  #known = new Map<string, FileState>();
  #asked = new Map<string, FileState>();
  #made = new Map<string, Made<unknown>>();
  #kept = new Map<string, Made<unknown>>();
  #workedSince = 0;

  /** Begins a load: from here each file is looked at once more. */
  begin(): void {
    this.#made = this.#kept;
    this.#kept = new Map();
    this.#asked = new Map();
  }

  /** Ends a load, whatever came of it. */
  end(): void {
    this.#known = this.#asked;
    this.#asked = new Map();
    this.#made.clear();
  }

  /** A file's text, the same object as in the load before when nothing changed; see {@link readTextFile}. */
  async read(path: string): Promise<FileRead> {
    let asked = this.#asked.get(path);
    if (asked === undefined) {
      await this.#letOthersWork();
      asked = look(path, this.#known.get(path));
      this.#asked.set(path, asked);
    }
    return asked.read;
  }

  /** What was made of the file in the load before, if all that it was made of is as it was. Always by the same function. */
  async recall<T>(path: string): Promise<Made<T> | null> {
    const made = this.#made.get(path) as Made<T> | undefined;
    if (made === undefined) return null;
    for (const [file, read] of made.reads) if ((await this.read(file)) !== read) return null;
    this.#kept.set(path, made);
    return made;
  }

  keep<T>(path: string, made: Made<T>): void {
    this.#kept.set(path, made);
  }

  /** A process that serves is not held up by a folder of many files. */
  async #letOthersWork(): Promise<void> {
    if (performance.now() - this.#workedSince < SLICE_MS) return;
    await setImmediate();
    this.#workedSince = performance.now();
  }
}

function look(path: string, known: FileState | undefined): FileState {
  if (known === undefined) return readTextFile(path);
  if (known.signature !== null && known.signature === fileSignature(path)) return known;
  const { read, signature } = readTextFile(path);
  // Touched, or written anew with the same content.
  return { signature, read: sameRead(known.read, read) ? known.read : read };
}

function sameRead(a: FileRead, b: FileRead): boolean {
  if (a.ok && b.ok) return a.text === b.text && a.open === b.open;
  return !a.ok && !b.ok && a.fault === b.fault;
}
