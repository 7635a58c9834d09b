import { type DocumentNode, type MemberNode, parse, type ValueNode } from '@humanwhocodes/momoa';
import JSON5 from 'json5';
import type { Findings } from './findings.ts';
import { keyInFile, withKeysInFile, withNamesForNumbers } from './number-keys.ts';
import { formatKeyPath, type KeyPath } from './problems.ts';

/** A place in a file, both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/** A configuration file that was read: its value, and where each part of it stands. */
export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Where the value at `path` begins, or its key; for what is not there, the deepest part that is. */
  locate(path: KeyPath, what: 'key' | 'value'): Position & { readonly path: KeyPath };
}

/** Reads a JSON5 file. A file that cannot be read or parsed, or a key that is there twice, is a problem; null for the first two. */
export async function openSource(file: string, findings: Findings): Promise<Source | null> {
  const read = await findings.read(file);
  if (!read.ok) {
    findings.problem({ file, line: 1, column: 1, key: '', message: `the file ${read.fault}` });
    return null;
  }
  return parseSource(file, read.text, findings);
}

/** Parses the text of a configuration file, as {@link openSource} does. */
export function parseSource(file: string, text: string, findings: Findings): Source | null {
  try {
    const { value, document } = read(text);
    findRepeatedKeys(file, document, findings);
    return { file, value, locate: (path, what) => locate(document, path, what) };
  } catch (error) {
    findings.problem({ file, ...positionOf(error), key: '', message: `not valid JSON5: ${reasonOf(error)}` });
    return null;
  }
}

/** JSON5 gives the value and the better messages, Momoa the positions. */
function read(text: string): { value: unknown; document: DocumentNode } {
  try {
    return { value: JSON5.parse(text), document: parse(text, { mode: 'json5' }) };
  } catch (error) {
    const named = /invalid character '\d'/.test(String(error)) ? withNamesForNumbers(text) : null;
    if (named === null) throw error;
    return { value: withKeysInFile(JSON5.parse(named)), document: parse(named, { mode: 'json5' }) };
  }
}

function positionOf(error: unknown): Position {
  const { lineNumber, columnNumber, line, column } = error as Record<string, unknown>;
  return { line: atLeastOne(lineNumber ?? line), column: atLeastOne(columnNumber ?? column) };
}

/** JSON5 counts a line break as column 0 of the line that it begins. */
function atLeastOne(value: unknown): number {
  return typeof value === 'number' && value > 1 ? value : 1;
}

function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return 'nested too deeply';
  const message = error instanceof Error ? error.message : String(error);
  return message
    .replace(/^JSON5: /, '')
    .replace(/ at \d+:\d+$/, '')
    .replace(/\.? \(\d+:\d+\)$/, '');
}

function nameOf(member: MemberNode): string {
  return member.name.type === 'String' ? member.name.value : keyInFile(member.name.name);
}

function locate(document: DocumentNode, path: KeyPath, what: 'key' | 'value'): ReturnType<Source['locate']> {
  let node: ValueNode = document.body;
  let key: MemberNode['name'] | null = null;
  let depth = 0;
  for (const part of path) {
    if (node.type === 'Object') {
      // The last one counts, as it does for the value.
      const member: MemberNode | undefined = node.members.findLast((each) => nameOf(each) === part);
      if (member === undefined) break;
      node = member.value;
      key = member.name;
    } else if (node.type === 'Array' && typeof part === 'number' && node.elements[part] !== undefined) {
      node = node.elements[part].value;
      key = null;
    } else break;
    depth += 1;
  }
  const { line, column } = (what === 'key' && key !== null ? key : node).loc.start;
  return { line, column, path: path.slice(0, depth) };
}

function findRepeatedKeys(file: string, document: DocumentNode, findings: Findings): void {
  const waiting: { node: ValueNode; path: KeyPath }[] = [{ node: document.body, path: [] }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, path } = next;
    if (node.type === 'Array') {
      node.elements.forEach((element, index) => {
        waiting.push({ node: element.value, path: [...path, index] });
      });
    }
    if (node.type !== 'Object') continue;
    const first = new Map<string, number>();
    for (const member of node.members) {
      const name = nameOf(member);
      const { line, column } = member.name.loc.start;
      const before = first.get(name);
      const key = formatKeyPath([...path, name]);
      if (before === undefined) first.set(name, line);
      else findings.problem({ file, line, column, key, message: `the key is there twice, first in line ${before}` });
      waiting.push({ node: member.value, path: [...path, name] });
    }
  }
}
