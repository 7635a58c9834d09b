import { visible } from '../../log/visible.ts';
import type { Finding, Result } from './findings.ts';

const WORD: Readonly<Record<Result, string>> = { ok: 'ok', warning: 'WARN', failed: 'FAIL', skipped: '-' };
const COLOR: Readonly<Record<Result, number>> = { ok: 32, warning: 33, failed: 31, skipped: 2 };

/** What a person reads: a paragraph for each place, a line for each step, and under it what to do. */
export function reportText(findings: readonly Finding[], colors: boolean): string {
  const lines: string[] = [];
  let place: string | null = null;
  for (const finding of findings) {
    if (finding.place !== place) lines.push(...(place === null ? [] : ['']), visible(finding.place));
    place = finding.place;
    const word = WORD[finding.result].padEnd(4);
    const painted = colors ? `\u001b[${COLOR[finding.result]}m${word}\u001b[0m` : word;
    lines.push(`  ${painted}  ${finding.step.padEnd(11)}  ${visible(finding.message)}`);
    if (finding.advice !== null) lines.push(`${' '.repeat(21)}-> ${visible(finding.advice)}`);
  }
  const count = (result: Result) => findings.filter((finding) => finding.result === result).length;
  const warnings = count('warning') === 0 ? '' : `, ${plural(count('warning'), 'warning')}`;
  const verdict = count('failed') === 0 ? 'nothing is wrong' : `${plural(count('failed'), 'thing')} to mend`;
  return `${[...lines, '', `${verdict}${warnings}`].join('\n')}\n`;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
