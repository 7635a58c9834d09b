import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isDomainFileName } from './domain-folder.ts';
import type { ConfigSources } from './findings.ts';
import { mountPoints } from './mounts.ts';

/** Links that are followed on the way to one file; the kernel follows as many. */
const MAX_LINKS = 40;

/** What of one folder a configuration depends on. */
export interface Place {
  /** Which folder it is (device and inode); null where there is none. */
  identity: string | null;
  /** Entries that lead to a file of the configuration: files, links, folders on the way. */
  readonly names: Set<string>;
  /** Every domain file counts, those to come included. */
  domains: boolean;
  /**
   * Those of its files that are mounted (a container's secret, `-v file:file`): what is written to them is told to who watches
   * them or their folder elsewhere, not to who watches this one.
   */
  readonly mounted: Set<string>;
}

/** By the folder's own path, without links. */
export type Places = ReadonlyMap<string, Place>;

/**
 * Where the files of a configuration can change: not only in their own folders, but wherever something that leads to them
 * can be replaced (a link of certbot's, `current` of a release, `..data` of a Kubernetes volume, a folder that is moved).
 */
export async function findPlaces({ files, folders }: ConfigSources, mounts = mountPoints()): Promise<Places> {
  const finder = new PlaceFinder();
  for (const folder of folders) await finder.addFolder(resolve(folder));
  for (const file of files) await finder.addFile(resolve(file));
  return finder.finish(mounts);
}

/** Files that have to be watched themselves. */
export function mountedFiles(places: Places): string[] {
  return Array.from(places).flatMap(([folder, { mounted }]) => Array.from(mounted, (name) => join(folder, name)));
}

/** Whether a change of the entry `path` can be one of the configuration. */
export function matters(places: Places, path: string): boolean {
  const place = places.get(dirname(path));
  if (place === undefined) return false;
  const name = basename(path);
  return place.names.has(name) || (place.domains && isDomainFileName(name));
}

/** Whether two say the same of the same folders. */
export function samePlaces(a: Places, b: Places): boolean {
  if (a.size !== b.size) return false;
  return Array.from(a).every(([folder, place]) => {
    const other = b.get(folder);
    return (
      other?.identity === place.identity &&
      other.domains === place.domains &&
      other.names.size === place.names.size &&
      place.names.isSubsetOf(other.names) &&
      other.mounted.size === place.mounted.size &&
      place.mounted.isSubsetOf(other.mounted)
    );
  });
}

class PlaceFinder {
  readonly #places = new Map<string, Place>();
  /** Folders as they were named -> without links. */
  readonly #real = new Map<string, string>();
  /** Folders whose every file counts, as they were named -> what of them is no plain file. */
  readonly #listed = new Map<string, ReadonlySet<string>>();

  async addFolder(path: string): Promise<void> {
    const folder = await this.#realFolder(path, 0);
    this.#place(folder).domains = true;
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    this.#listed.set(path, new Set(entries.flatMap((entry) => (entry.isFile() ? [] : [entry.name]))));
  }

  async addFile(path: string, links = 0): Promise<void> {
    const special = this.#listed.get(dirname(path));
    const name = basename(path);
    // A plain file there is watched with its folder, and so is one that is missing.
    if (special !== undefined && !special.has(name) && isDomainFileName(name)) return;
    const folder = await this.#realFolder(dirname(path), links);
    const target = await this.#mark(folder, name);
    if (target !== null && links < MAX_LINKS) await this.addFile(target, links + 1);
  }

  async finish(mounts: ReadonlySet<string>): Promise<Places> {
    for (const [folder, place] of this.#places) place.identity = await identityOf(folder);
    for (const path of mounts) {
      if (matters(this.#places, path) && (await isFile(path))) this.#place(dirname(path)).mounted.add(basename(path));
    }
    return this.#places;
  }

  /** The folder without links. All that leads there is marked. */
  async #realFolder(path: string, links: number): Promise<string> {
    const known = this.#real.get(path);
    if (known !== undefined) return known;
    if (dirname(path) === path) return path;
    const parent = await this.#realFolder(dirname(path), links);
    const target = await this.#mark(parent, basename(path));
    const followed = target !== null && links < MAX_LINKS;
    const real = followed ? await this.#realFolder(target, links + 1) : join(parent, basename(path));
    this.#real.set(path, real);
    return real;
  }

  /** Notes an entry of a folder; gives what it links to, or null. */
  async #mark(folder: string, name: string): Promise<string | null> {
    this.#place(folder).names.add(name);
    const path = join(folder, name);
    try {
      return (await lstat(path)).isSymbolicLink() ? resolve(folder, await readlink(path)) : null;
    } catch {
      return null;
    }
  }

  #place(folder: string): Place {
    let place = this.#places.get(folder);
    if (place === undefined) {
      place = { identity: null, names: new Set(), domains: false, mounted: new Set() };
      this.#places.set(folder, place);
    }
    return place;
  }
}

async function identityOf(folder: string): Promise<string | null> {
  try {
    const { dev, ino, birthtimeNs } = await stat(folder, { bigint: true });
    // An inode number is given out again as soon as it is free.
    return `${dev} ${ino} ${birthtimeNs}`;
  } catch {
    return null;
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}
