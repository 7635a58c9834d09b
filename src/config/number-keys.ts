/**
 * JSON5 has no numbers as keys, JavaScript has, and `ports: { 5432: "..." }` is what people write. Such a key is given to the
 * parsers as a name of the same length, so that all places stay where they are: its first digit becomes a letter.
 */
const LETTERS = '〇一二三四五六七八九';

const TOKENS =
  /\/\/[^\n\r\u2028\u2029]*|\/\*[\s\S]*?\*\/|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|(?<![\w$.+-])\d+(?=\s*:)/g;

/** The text with names in the place of numbers that are keys; null where it has none. */
export function withNamesForNumbers(text: string): string | null {
  let found = false;
  const named = text.replace(TOKENS, (token) => {
    if (!/^\d/.test(token)) return token;
    found = true;
    return `${LETTERS[Number(token[0])]}${token.slice(1)}`;
  });
  return found ? named : null;
}

/** What a key was in the file. */
export function keyInFile(key: string): string {
  const digit = key === '' ? -1 : LETTERS.indexOf(key.charAt(0));
  return digit === -1 || !/^.\d*$/.test(key) ? key : `${digit}${key.slice(1)}`;
}

/** A value with the keys of the file, in all its depth. */
export function withKeysInFile(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withKeysInFile);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [keyInFile(key), withKeysInFile(part)]));
}
