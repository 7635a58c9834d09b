import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { withAdvice } from '../../config/advice.ts';
import { fileText } from '../../config/file-text.ts';
import { readTextFile, unusable } from '../../config/read-file.ts';
import { BackdialError } from '../../core/errors.ts';
import { toDomain } from '../../core/host-name.ts';
import { convertAgentDomain, convertServerDomain } from './domain-files.ts';
import { convertMain } from './main-file.ts';
import { parseGroom } from './parse.ts';
import { type Converted, type Notes, textOf } from './values.ts';

export interface ImportOptions {
  /** groom's main file. */
  readonly file: string;
  /** Where the files go. */
  readonly out: string;
  /** Whether files that are there are overwritten. */
  readonly force: boolean;
}

/** What was written, and what is to be looked at. */
export interface Imported {
  readonly kind: 'server' | 'agent';
  readonly main: string;
  readonly domains: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Converts a configuration of groom: its main file and the folder of domains that it names. Nothing is written unless all of it
 * can be. Fails with `input-invalid`.
 */
export function importGroom({ file, out, force }: ImportOptions): Imported {
  const notes: Notes = [];
  const groom = parseGroom(read(file), file);
  const mode = textOf(groom, 'mode');
  if (mode !== 'server' && mode !== 'agent') {
    throw new BackdialError('input-invalid', `${file}: \`mode\` is neither server nor agent; give groom's main file`);
  }
  const files = new Map<string, Converted>([[`${mode}.json5`, convertMain(groom, notes)]]);
  const folder = domainFolder(file, textOf(groom, 'domains') ?? '/etc/groom/domains', notes);
  // groom leaves out the same names.
  for (const { name, isFolder } of folder === null ? [] : namesIn(folder)) {
    if (/^[._]/.test(name) || name.includes('dpkg-')) continue;
    if (isFolder) {
      notes.push(`${name}: a folder, no file; left out`);
      continue;
    }
    const domain = toDomain(name.toLowerCase());
    if (domain === null) {
      notes.push(`${name}: not a domain; left out`);
      continue;
    }
    const path = join(folder ?? '', name);
    const section = parseGroom(read(path), path);
    const convert = mode === 'server' ? convertServerDomain : convertAgentDomain;
    files.set(join('domains', `${domain}.json5`), convert(domain, section, notes));
  }
  write(files, { out, force, from: file });
  const [main = '', ...domains] = [...files.keys()].map((name) => join(out, name));
  return { kind: mode, main, domains, notes };
}

/** As it stands; else beside the main file, as in a copy of the configuration. */
function domainFolder(file: string, given: string, notes: Notes): string | null {
  const beside = resolve(dirname(file), given.replace(/^\/etc\/groom\//, ''));
  const found = [resolve(dirname(file), given), beside].find((folder) => existsSync(folder));
  if (found === undefined) notes.push(`the folder of domains ${given} does not exist: no domain was converted`);
  return found ?? null;
}

function namesIn(folder: string): { readonly name: string; readonly isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const { fault } = unusable(error);
    throw new BackdialError('input-invalid', `the folder of domains ${folder} ${fault}`, { cause: error });
  }
}

function read(file: string): string {
  const { read: found } = readTextFile(file);
  if (found.ok) return found.text;
  throw new BackdialError('input-invalid', `the file ${file} ${withAdvice(file, found, "name groom's main file")}`);
}

function write(
  files: ReadonlyMap<string, Converted>,
  { out, force, from }: { readonly out: string; readonly force: boolean; readonly from: string },
): void {
  const there = [...files.keys()].map((name) => join(out, name)).filter((path) => existsSync(path));
  if (there.length > 0 && !force) {
    throw new BackdialError(
      'input-invalid',
      `${there[0]} is there already; --force overwrites, --out DIR writes elsewhere`,
    );
  }
  try {
    mkdirSync(join(out, 'domains'), { recursive: true });
    for (const [name, content] of files) {
      const text = `// Converted from ${from} of groom.\n${fileText(content)}`;
      // Secrets are in them.
      writeFileSync(join(out, name), text, { mode: 0o600 });
    }
  } catch (error) {
    throw new BackdialError('input-invalid', `cannot write to ${out}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
    });
  }
}
