import { once } from 'node:events';
import { type FSWatcher as FileWatcher, watch as watchFile } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FSWatcher, watch } from 'chokidar';
import type { ConfigSources } from './findings.ts';
import { findPlaces, matters, mountedFiles, type Places, samePlaces } from './watch-places.ts';

/** Long enough for a writer to come to its next byte, short enough for a change to be live within a second. */
const QUIET_MS = 250;
/** A file that never comes to rest must not hold up the others for ever. */
const MAX_WAIT_MS = 30_000;

/** How long a new watcher may take to look at all folders. */
const START_TIMEOUT_MS = 10_000;

/** Who is told, and when. */
export interface WatchOptions {
  /** Something that the configuration is made of may have changed, and has been quiet since. May be called without need. */
  readonly onChange: () => void;
  /** Changes are not seen any more, or not all of them: the system has no watches left, for instance. */
  readonly onError: (error: Error) => void;
  /** Starts with a change, and again with the next; ends with `onChange`. Default 250 ms. */
  readonly quietMs?: number;
  /** Where something is mounted. Default: what the system says. */
  readonly mounts?: () => ReadonlySet<string>;
}

/** Watches the files of a configuration, whichever way they are replaced. */
export class ConfigWatch {
  readonly #options: WatchOptions;
  readonly #quietMs: number;
  #places: Places = new Map();
  #watcher: FSWatcher | null = null;
  #mounted: FileWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** When the first change came that was not told yet. */
  #since: number | null = null;
  readonly #closed = new AbortController();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#quietMs = options.quietMs ?? QUIET_MS;
  }

  /**
   * Watches these files from now on, and no others. Resolves when it does; what changed while it began is told by
   * `onChange`. Not to be called again before it has resolved.
   */
  async follow(sources: ConfigSources): Promise<void> {
    const places = await findPlaces(sources, this.#options.mounts?.());
    if (this.#closed.signal.aborted || samePlaces(this.#places, places)) return;
    this.#places = places;
    const before = this.#watcher;
    const watcher = this.#watch(Array.from(places.keys()).filter((folder) => places.get(folder)?.identity !== null));
    this.#watcher = watcher;
    this.#watchMounted(mountedFiles(places));
    const isLate = await this.#isLate(Promise.all([before?.close(), once(watcher, 'ready')]));
    // Whatever it waits for: the next look makes another one.
    if (isLate) this.#places = new Map();
    // Between the reading of the files and this moment nobody looked.
    this.#touch();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.#watchMounted([]);
    await this.#watcher?.close();
  }

  /** Waits until all is ready, for a bounded time and no longer than until the end. */
  async #isLate(ready: Promise<unknown>): Promise<boolean> {
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, this.#closed.signal]);
    const late = sleep(START_TIMEOUT_MS, true, { signal, ref: false }).catch(() => false);
    const onTime = () => false;
    const isLate = await Promise.race([ready.then(onTime, onTime), late]);
    done.abort();
    return isLate;
  }

  #watch(folders: string[]): FSWatcher {
    const isFolder = new Set(folders);
    const watcher = watch(folders, {
      depth: 0,
      // Links are watched as what they are: where they lead to is among the folders.
      followSymlinks: false,
      ignoreInitial: true,
      ignorePermissionErrors: true,
      atomic: false,
      persistent: false,
      ignored: (path) => !isFolder.has(path) && !matters(this.#places, path),
    });
    watcher.on('all', (_event, path) => this.#onEvent(path));
    // Comes at once, and for folders that were replaced too. What it says is not relied on.
    watcher.on('raw', (_event, name, details) => {
      const { watchedPath } = details as { readonly watchedPath?: string };
      if (watchedPath === undefined || typeof name !== 'string' || name === basename(watchedPath)) this.#touch();
      else this.#onEvent(join(watchedPath, name));
    });
    watcher.on('error', (error) => this.#options.onError(error instanceof Error ? error : new Error(String(error))));
    return watcher;
  }

  #watchMounted(files: readonly string[]): void {
    for (const watcher of this.#mounted) watcher.close();
    this.#mounted = files.flatMap((file) => {
      try {
        const watcher = watchFile(file, { persistent: false }, () => this.#touch());
        return [watcher.on('error', (error) => this.#options.onError(error))];
      } catch {
        // It is gone: the look at the end of `follow` finds out.
        return [];
      }
    });
  }

  #onEvent(path: string): void {
    if (matters(this.#places, path)) this.#touch();
  }

  #touch(): void {
    if (this.#closed.signal.aborted) return;
    const now = performance.now();
    this.#since ??= now;
    clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(this.#quietMs, this.#since + MAX_WAIT_MS - now));
    this.#timer = setTimeout(() => {
      this.#since = null;
      this.#options.onChange();
    }, wait);
    this.#timer.unref();
  }
}
