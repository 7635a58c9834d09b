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

/** A file as it was read last, and what was made of it. */
interface Known {
  state: FileState;
  /** The load that looked at it last. */
  seen: number;
  made: Made<unknown> | null;
}

/** The names that a folder had, and what was made of them. */
interface Listing {
  readonly names: readonly string[];
  readonly made: unknown;
}

/**
 * The files of a configuration, kept from one load to the next: what did not change is neither read nor parsed again. What
 * a load did not ask for is forgotten at its end.
 */
export class ConfigFiles {
  /**
   * Files of revocation lists that a load has read. One that is gone since is missed, for nothing fails open: these alone are
   * never forgotten.
   */
  readonly lists = new Set<string>();
  readonly #known = new Map<string, Known>();
  readonly #listings = new Map<string, Listing>();
  #load = 0;
  #workedSince = 0;

  /** Begins a load: from here each file is looked at once more. */
  begin(): void {
    this.#load += 1;
  }

  /** Ends a load, whatever came of it. */
  end(): void {
    for (const [path, { seen }] of this.#known) if (seen !== this.#load) this.#known.delete(path);
  }

  /** Every file that the load asked for. */
  get paths(): string[] {
    return Array.from(this.#known).flatMap(([path, { seen }]) => (seen === this.#load ? [path] : []));
  }

  /** A file's text, the same object as in the load before when nothing changed; see {@link readTextFile}. */
  async read(path: string): Promise<FileRead> {
    const known = this.#known.get(path);
    if (known?.seen === this.#load) return known.state.read;
    await this.#letOthersWork();
    const state = look(path, known?.state ?? null);
    if (known === undefined) this.#known.set(path, { state, seen: this.#load, made: null });
    else Object.assign(known, { state, seen: this.#load });
    return state.read;
  }

  /** What was made of the file in the load before, if all that it was made of is as it was. Always by the same function. */
  async recall<T>(path: string): Promise<Made<T> | null> {
    const made = (this.#known.get(path)?.made ?? null) as Made<T> | null;
    if (made === null) return null;
    for (const [file, read] of made.reads) if ((await this.read(file)) !== read) return null;
    return made;
  }

  /** To be called when the file was read. */
  keep<T>(path: string, made: Made<T>): void {
    const known = this.#known.get(path);
    if (known !== undefined) known.made = made;
  }

  /** What was made of a folder when it had the same names; `undefined` where nothing was. Always by the same function. */
  recallListing<T>(folder: string, names: readonly string[]): T | undefined {
    const listing = this.#listings.get(folder);
    if (listing === undefined || listing.names.length !== names.length) return undefined;
    return listing.names.every((name, index) => name === names[index]) ? (listing.made as T) : undefined;
  }

  keepListing(folder: string, names: readonly string[], made: unknown): void {
    this.#listings.set(folder, { names, made });
  }

  /** A process that serves is not held up by a folder of many files. */
  async #letOthersWork(): Promise<void> {
    if (performance.now() - this.#workedSince < SLICE_MS) return;
    await setImmediate();
    this.#workedSince = performance.now();
  }
}

function look(path: string, known: FileState | null): FileState {
  if (known === null) return readTextFile(path);
  if (known.signature !== null && known.signature === fileSignature(path)) return known;
  const { read, signature } = readTextFile(path);
  // Touched, or written anew with the same content.
  return { signature, read: sameRead(known.read, read) ? known.read : read };
}

function sameRead(a: FileRead, b: FileRead): boolean {
  if (a.ok && b.ok) return a.text === b.text && a.open === b.open;
  return !a.ok && !b.ok && a.fault === b.fault;
}
