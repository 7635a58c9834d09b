import JSON5 from 'json5';

/** A configuration as the text of a file: keys without quotes where they need none, two blanks a level. */
export function fileText(content: unknown): string {
  return `${JSON5.stringify(content, { space: 2, quote: '"' })}\n`;
}
