import { type DocumentNode, type MemberNode, parse, type ValueNode } from '@humanwhocodes/momoa';
import { keyInFile } from './number-keys.ts';
import { formatKeyPath, type KeyPath, type Problem } from './problems.ts';

/** A place in a file, both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * Where the parts of a JSON5 text stand. Momoa finds them, at several times the cost of the value: it is asked only once
 * there is something to place.
 */
export class Places {
  readonly #text: string;
  #document: DocumentNode | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  /** As `locate` of a `Source`; `path` in the answer is that of the part. */
  locate(path: KeyPath, what: 'key' | 'value'): Position & { readonly path: KeyPath } {
    try {
      return locate(this.#parsed(), path, what);
    } catch (error) {
      // Of what JSON5 takes Momoa refuses little (`+.5`), and says where.
      return { ...positionOf(error), path: [] };
    }
  }

  /** A problem for each key that is there a second time, of a text that has one. Throws as Momoa does. */
  repeatedKeys(): Omit<Problem, 'file'>[] {
    const found = repeatedKeys(this.#parsed());
    // Only to JSON5 does U+2028 end a comment.
    return found.length > 0 ? found : [{ line: 1, column: 1, key: '', message: 'a key is there twice' }];
  }

  #parsed(): DocumentNode {
    this.#document ??= parse(this.#text, { mode: 'json5' });
    return this.#document;
  }
}

/** Where a parser stopped. */
export function positionOf(error: unknown): Position {
  const { lineNumber, columnNumber, line, column } = error as Record<string, unknown>;
  return { line: atLeastOne(lineNumber ?? line), column: atLeastOne(columnNumber ?? column) };
}

/** JSON5 counts a line break as column 0 of the line that it begins. */
function atLeastOne(value: unknown): number {
  return typeof value === 'number' && value > 1 ? value : 1;
}

function nameOf(member: MemberNode): string {
  return member.name.type === 'String' ? member.name.value : keyInFile(member.name.name);
}

function locate(document: DocumentNode, path: KeyPath, what: 'key' | 'value'): ReturnType<Places['locate']> {
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

function repeatedKeys(document: DocumentNode): Omit<Problem, 'file'>[] {
  const found: Omit<Problem, 'file'>[] = [];
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
      else found.push({ line, column, key, message: `the key is there twice, first in line ${before}` });
      waiting.push({ node: member.value, path: [...path, name] });
    }
  }
  return found;
}
