import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** One import (or re-export) of a source file. */
export interface SourceImport {
  /** As written. */
  readonly specifier: string;
  /** The file that it names, relative to the repository, or null for `node:` and packages. */
  readonly file: string | null;
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

/** A TypeScript file with what it imports. */
export interface SourceFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
  /** The text without comments, so that prose about imports counts as none. */
  readonly code: string;
  readonly imports: readonly SourceImport[];
}

/** Every `.ts` file below a folder of the repository (or of `root`), in order of names. Empty when there is no such folder. */
export function sourceFiles(folder: string, root: string = ROOT): SourceFile[] {
  let names: string[];
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .sort()
    .map((name) => readSource(join(folder, name), root));
}

function readSource(path: string, root: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const code = withoutComments(text);
  return { path, text, code, imports: findImports(code, path, root) };
}

const STATEMENT = /^\s*(import|export)\b(\s+type\b(?!\s*,|\s+from))?([^;'"`]*?)\bfrom\s*(['"])(.+?)\4/gm;
const BARE = /^\s*import\s*(['"])(.+?)\1/gm;
const DYNAMIC = /\bimport\(\s*(['"])(.+?)\1/g;
/** The specifier of a dynamic import that is no literal could not be judged. */
export const OPAQUE_IMPORT = /\bimport\(\s*[^'"\s)]/;

function findImports(code: string, path: string, root: string): SourceImport[] {
  const found: SourceImport[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    const file = specifier.startsWith('.') ? relative(root, resolve(root, dirname(path), specifier)) : null;
    found.push({ specifier, file, typeOnly });
  };
  for (const [, , type, names = '', , specifier = ''] of code.matchAll(STATEMENT)) {
    add(specifier, type !== undefined || onlyTypes(names));
  }
  for (const [, , specifier = ''] of code.matchAll(BARE)) add(specifier, false);
  for (const [, , specifier = ''] of code.matchAll(DYNAMIC)) add(specifier, false);
  return found;
}

/** `{ type A, type B }` */
function onlyTypes(names: string): boolean {
  const list = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1];
  if (list === undefined) return false;
  const entries = list.split(',').filter((entry) => entry.trim() !== '');
  return entries.length > 0 && entries.every((entry) => /^\s*type\s/.test(entry));
}

/** Strings are kept; a `//` inside one is not taken for a comment. */
function withoutComments(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)/g,
    (_match, string: string | undefined) => string ?? '',
  );
}
