/** Deeper than any configuration is. */
const MAX_DEPTH = 100;

/** How many keys the objects of a value have, in all its depth. Throws a RangeError for one that is nested too deeply. */
export function countKeys(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth === MAX_DEPTH) throw new RangeError('nested too deeply');
  const parts = Object.values(value);
  let count = Array.isArray(value) ? 0 : parts.length;
  for (const part of parts) count += countKeys(part, depth + 1);
  return count;
}

/**
 * How many members the objects of a valid JSON5 text have: its colons outside strings and comments. They are more than the
 * keys of its value exactly where a key is there twice.
 */
export function countMembers(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i += 1) {
    const character = text[i];
    if (character === ':') count += 1;
    else if (character === '"' || character === "'") i = endOfString(text, i);
    else if (character === '/') i = endOfComment(text, i);
  }
  return count;
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== text[start]) i += text[i] === '\\' ? 2 : 1;
  return i;
}

/** The place of the last character of the comment that begins at `start`. */
function endOfComment(text: string, start: number): number {
  if (text[start + 1] === '*') return text.indexOf('*/', start + 2) + 1;
  let i = start + 2;
  while (i < text.length && !LINE_BREAKS.includes(text[i] ?? '')) i += 1;
  return i;
}

const LINE_BREAKS = '\n\r\u2028\u2029';
