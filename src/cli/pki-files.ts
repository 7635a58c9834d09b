import { access, chmod, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { faultOf } from '../config/read-file.ts';
import { BackdialError } from '../core/errors.ts';
import { Authority, type Pair } from '../pki/authority.ts';

/** The paths of a certificate and its key. */
export interface PairPaths {
  readonly cert: string;
  readonly key: string;
}

/** `KIND.pem` and `KIND.key` in a folder. */
export function pairPaths(folder: string, kind: string): PairPaths {
  return { cert: join(folder, `${kind}.pem`), key: join(folder, `${kind}.key`) };
}

/**
 * Writes a pair, the key for its owner alone. A crash leaves whole files; without `force` what is there stays, and that is an
 * `input-invalid`. Makes the folder where it is missing.
 */
export async function writePair(folder: string, kind: string, pair: Pair, force: boolean): Promise<PairPaths> {
  const paths = pairPaths(folder, kind);
  if (!force) await refuseExisting(paths);
  await writeTo(paths.key, pair.key, { mode: 0o600, force });
  await writeTo(paths.cert, pair.cert, { mode: 0o644, force });
  return paths;
}

/** Makes a folder where it is missing; not those above it (in /proc Node would try that for ever). */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    throw new BackdialError('input-invalid', `the folder ${folder} ${folderFault(error)}`, { cause: error });
  }
}

/** Fails with `input-invalid` where one of the two is there. */
export async function refuseExisting({ cert, key }: PairPaths): Promise<void> {
  for (const file of [cert, key]) {
    if (await exists(file)) throw new BackdialError('input-invalid', `${file} is there already; --force replaces it`);
  }
}

/** Writes a file at once or not at all, as {@link writePair} does. */
export async function writeTo(
  file: string,
  text: string,
  { mode, force }: { readonly mode: number; readonly force: boolean },
): Promise<void> {
  await makeFolder(dirname(file));
  const draft = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(draft, 'w', mode);
    try {
      // `w` keeps the mode of a file that a crash left behind.
      await chmod(draft, mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (force) await rename(draft, file);
    // Fails where another process was quicker.
    else await link(draft, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const fault = code === 'EEXIST' ? 'is there already; --force replaces it' : writeFault(error);
    throw new BackdialError('input-invalid', `${file} ${fault}`, { cause: error });
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
}

/** Keeps an authority that is to be replaced beside the new one, as `ca.pem.old` and `ca.key.old`. False: there was none. */
export async function keepOld({ cert, key }: PairPaths): Promise<boolean> {
  let kept = false;
  for (const file of [cert, key]) {
    if (!(await exists(file))) continue;
    await rename(file, `${file}.old`);
    kept = true;
  }
  return kept;
}

/** The authority in one of these folders, the first that has `ca.pem`. Fails with `input-invalid`. */
export async function openAuthority(folders: readonly string[]): Promise<{ authority: Authority; folder: string }> {
  for (const folder of folders) {
    const paths = pairPaths(folder, 'ca');
    if (!(await exists(paths.cert))) continue;
    const pair = { cert: await readText(paths.cert), key: await readText(paths.key) };
    return { authority: withFolder(folder, () => new Authority(pair)), folder };
  }
  const looked = [...new Set(folders)].map((folder) => join(folder, 'ca.pem')).join(', ');
  throw new BackdialError('input-invalid', `no authority found at ${looked}; \`backdial pki ca\` makes one`);
}

/** A file's text. Fails with `input-invalid`. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new BackdialError('input-invalid', `${file} ${faultOf(error)}`, { cause: error });
  }
}

export async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}

function withFolder<T>(folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof BackdialError)) throw error;
    throw new BackdialError(error.code, `the authority in ${folder}: ${error.detail}`, { cause: error });
  }
}

function writeFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'may not be written by this user';
  return `cannot be written (${code ?? message})`;
}

function folderFault(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST') return 'is a file';
  return code === 'ENOENT' ? 'cannot be made: the one above it does not exist' : writeFault(error);
}
