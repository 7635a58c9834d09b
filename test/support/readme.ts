import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './source-imports.ts';

const TEXT = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** README.md. */
export function readmeText(): string {
  return TEXT;
}

/** What stands between a heading (its text, without `#`) and the next one; fails where there is no such heading. */
export function readmeSection(heading: string): string {
  const parts = TEXT.split(/^#+ (.+)$/m);
  const index = parts.indexOf(heading);
  const section = index === -1 ? undefined : parts[index + 1];
  if (section === undefined) throw new Error(`README has no heading \`${heading}\``);
  return section;
}

/** The cells of each row of the tables in a text, heads left out. */
export function tableRows(text: string): string[][] {
  return text.split('\n').flatMap((line, index, lines) => {
    if (!line.startsWith('| ') || /^\|-/.test(lines[index + 1] ?? '')) return [];
    return [
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    ];
  });
}

/** The first code block whose opening line is this (```` ```sh server ````); fails where there is none. */
export function codeBlock(opening: string): string {
  const match = new RegExp(`^\`\`\`${opening}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(TEXT);
  if (match?.[1] === undefined) throw new Error(`README has no code block \`${opening}\``);
  return match[1];
}

/** The words in backquotes of a cell. */
export function quoted(cell = ''): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, word = '']) => word);
}
