import type { Pattern, PatternMatch } from './pattern.ts';

/** What takes the place of what a pattern matched: text, and the numbers of groups. */
export type Replacement = readonly (string | number)[];

/** What may stand in a path (RFC 3986, section 3.3, and what clients send all the same): printable ASCII without `?` and `#`. */
const PATH_TEXT = /^[\x21\x22\x24-\x3e\x40-\x7e]*$/;

/**
 * Reads a replacement for a part of a path: `$1` to `$99` and `$<name>` are groups of the pattern, `$&` the whole match,
 * `$$` a dollar sign. Gives what is wrong, as a sentence's end, where it is none.
 */
export function parseReplacement(text: string, pattern: Pattern): Replacement | string {
  if (text.includes('?')) return 'has a question mark; parameters are set with `query`';
  if (!PATH_TEXT.test(text)) return 'has a character that a path cannot have; such bytes are written %XX';
  const parts: (string | number)[] = [];
  for (const [part] of text.matchAll(/[^$]+|\$\d{1,2}|\$<[^>]*>|\$[$&]|\$/g)) {
    if (!part.startsWith('$')) parts.push(part);
    else if (part === '$$') parts.push('$');
    else {
      const group = groupOf(part, pattern);
      if (group === null) return `has ${part}, which is no group of \`path\`; $$ is a dollar sign`;
      parts.push(group);
    }
  }
  return parts;
}

function groupOf(part: string, { groups, names }: Pattern): number | null {
  if (part === '$&') return 0;
  if (part.startsWith('$<')) return names.get(part.slice(2, -1)) ?? null;
  const group = part === '$' ? 0 : Number(part.slice(1));
  return group >= 1 && group <= groups ? group : null;
}

/** The text with the replacement in the place of the match. A group that took no part is empty. */
export function replaceMatch(text: string, { start, end, groups }: PatternMatch, replacement: Replacement): string {
  const middle = replacement.map((part) => (typeof part === 'string' ? part : (groups[part] ?? ''))).join('');
  return text.slice(0, start) + middle + text.slice(end);
}
