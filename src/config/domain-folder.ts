import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { toDomain } from '../core/host-name.ts';
import { withAdvice } from './advice.ts';
import type { Findings } from './findings.ts';
import { unusable } from './read-file.ts';
import type { Section } from './section.ts';

const DEFAULT_FOLDER = 'domains';
/** Far more than one process serves; a folder named by mistake (`/`) is not read to its end. */
const MAX_FILES = 10_000;

/** A domain and the file that describes it. */
export interface DomainFile {
  /** Canonical. */
  readonly name: string;
  readonly file: string;
}

/** The folder of domains of a file: as its `domains` names it, relative to the file. */
export function domainFolder(file: string, domains: string | undefined): string {
  const folder = domains ?? DEFAULT_FOLDER;
  // Kept relative where the file is, so that messages name files as the user did.
  return resolve(folder) === folder ? folder : join(dirname(file), folder);
}

/** The name that the file of a domain has: `_.example.com.json5` for `*.example.com`. */
export function domainFileName(name: string): string {
  return `${name.replace(/^\*/, '_')}.json5`;
}

/** The domains of a folder, by name. A folder that cannot be read, and a file whose name is no domain, is a problem. */
export async function listDomainFiles(folder: string, main: Section, findings: Findings): Promise<DomainFile[]> {
  findings.usesFolder(folder);
  let names: string[];
  try {
    const all = await readdir(folder);
    names = all.filter(isDomainFileName).toSorted();
    warnOfOthers(folder, all, main);
  } catch (error) {
    const fault = withAdvice(folder, unusable(error), 'make it, or name another with `domains`');
    main.problem(`the folder of domains ${folder} ${fault}`, ['domains']);
    return [];
  }
  if (names.length > MAX_FILES) {
    main.problem(`the folder of domains ${folder} has ${names.length} files; at most ${MAX_FILES} are allowed`, [
      'domains',
    ]);
    return [];
  }
  return findings.onceForNames(folder, names, () => domainFilesOf(folder, names, findings));
}

/** Where there is no file of a domain, one that was meant to be may be called otherwise. */
function warnOfOthers(folder: string, all: readonly string[], main: Section): void {
  const others = all.filter((name) => !name.startsWith('.') && !name.endsWith('~'));
  const [first] = others.toSorted();
  if (first === undefined || all.some(isDomainFileName)) return;
  const message = `no file in ${folder} ends in .json5 or .json, as those of domains do (there is ${first})`;
  main.warn(message, ['domains']);
}

function domainFilesOf(folder: string, names: readonly string[], findings: Findings): DomainFile[] {
  const found = new Map<string, DomainFile>();
  for (const fileName of names) {
    const file = join(folder, fileName);
    const refuse = (message: string) => findings.problem({ file, line: 1, column: 1, key: '', message });
    const stem = fileName.replace(/\.json5?$/, '');
    const given = stem.startsWith('_.') ? `*${stem.slice(1)}` : stem;
    const name = toDomain(given);
    const before = name === null ? undefined : found.get(name);
    if (name === null)
      refuse(`the file's name is no domain; allowed: a host name and .json5, _.example.com.json5 for a wildcard`);
    else if (name !== given) refuse(`the file's name is not in canonical form; rename it to ${domainFileName(name)}`);
    else if (before !== undefined) refuse(`the domain ${name} has another file, ${before.file}; remove one of them`);
    else found.set(name, { name, file });
  }
  return [...found.values()];
}

/** Whether a file of this name describes a domain. Names that begin with a dot or end in `~` are left behind by editors and mounts. */
export function isDomainFileName(fileName: string): boolean {
  return /\.json5?$/.test(fileName) && !fileName.startsWith('.');
}
