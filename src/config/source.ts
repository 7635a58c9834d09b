import JSON5 from 'json5';
import { withAdvice } from './advice.ts';
import type { Findings } from './findings.ts';
import { countKeys, countMembers } from './members.ts';
import { withKeysInFile, withNamesForNumbers } from './number-keys.ts';
import { Places, positionOf } from './places.ts';
import type { KeyPath } from './problems.ts';

/** A configuration file that was read: its value, and where each part of it stands. */
export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Where the value at `path` begins, or its key; for what is not there, the deepest part that is. */
  locate(path: KeyPath, what: 'key' | 'value'): ReturnType<Places['locate']>;
}

const MAKE_ONE = 'give the path of one (`-c FILE`), or make it: README and conf/ have examples';

/** Reads a JSON5 file. A file that cannot be read or parsed, or a key that is there twice, is a problem; null for the first two. */
export async function openSource(file: string, findings: Findings): Promise<Source | null> {
  const read = await findings.read(file);
  if (!read.ok) {
    findings.problem({ file, line: 1, column: 1, key: '', message: `the file ${withAdvice(file, read, MAKE_ONE)}` });
    return null;
  }
  return parseSource(file, read.text, findings);
}

/** Parses the text of a configuration file, as {@link openSource} does. */
export function parseSource(file: string, text: string, findings: Findings): Source | null {
  try {
    const { value, named } = read(text);
    const places = new Places(named);
    if (countKeys(value) < countMembers(named)) {
      for (const repeated of places.repeatedKeys()) findings.problem({ file, ...repeated });
    }
    return { file, value, locate: (path, what) => places.locate(path, what) };
  } catch (error) {
    findings.problem({ file, ...positionOf(error), key: '', message: `not valid JSON5: ${reasonOf(error)}` });
    return null;
  }
}

/** JSON5 gives the value and the better messages. `named` is the text as parsers take it, all places as they were. */
function read(text: string): { readonly value: unknown; readonly named: string } {
  try {
    return { value: JSON5.parse(text), named: text };
  } catch (error) {
    const named = /invalid character '\d'/.test(String(error)) ? withNamesForNumbers(text) : null;
    if (named === null) throw error;
    return { value: withKeysInFile(JSON5.parse(named)), named };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return 'nested too deeply';
  const message = error instanceof Error ? error.message : String(error);
  return message
    .replace(/^JSON5: /, '')
    .replace(/ at \d+:\d+$/, '')
    .replace(/\.? \(\d+:\d+\)$/, '');
}
