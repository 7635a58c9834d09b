import { VERSION } from '../core/version.ts';
import { COMMANDS } from './command-table.ts';

/** Narrowest and widest help; the usual terminal where there is none. */
const WIDTH = { least: 60, most: 100, usual: 80 };

const OPTIONS: readonly (readonly [string, string])[] = [
  ['-h, --help', 'Show help [boolean]'],
  ['-v, --verbose', 'Log more; errors with their stack [count]'],
  ['-q, --quiet', 'Log less [count]'],
  ['    --version', 'Show version number [boolean]'],
];
const EXAMPLES: readonly (readonly [string, string])[] = [
  ['backdial demo', 'see it work on this machine'],
  ['backdial http 3000 --help', 'how to put a local service online'],
];

/** What the help of the program as a whole says above its lists, and below them. */
export const USAGE = '$0 <command>\n\nPuts a service that sits behind NAT on the public internet.';
export const EPILOGUE =
  'Exit codes: 0 done, 1 invalid configuration or input, 2 usage, 3 cannot listen,\n' +
  '4 the server refused a quick agent, 70 internal error or a Node too old.';

/**
 * The answer to `--help` and `--version` alone, which people wait for: without the parser of arguments, whose loading takes
 * longer than all else. Null for any other arguments. The parser says the same (a test holds the two together).
 */
export function quickAnswer(args: readonly string[], columns = WIDTH.usual): string | null {
  if (args.length !== 1) return null;
  if (args[0] === '--version') return `${VERSION}\n`;
  if (args[0] !== '--help' && args[0] !== '-h') return null;
  const width = Math.max(WIDTH.least, Math.min(WIDTH.most, columns));
  const commands = COMMANDS.map(({ command, describe }) => [`backdial ${command}`, describe] as const);
  const parts = [
    USAGE.replace('$0', 'backdial'),
    `Commands:\n${table(commands, width)}`,
    `Options:\n${table(OPTIONS, width)}`,
    `Examples:\n${table(EXAMPLES, width)}`,
    EPILOGUE,
  ];
  return `${parts.join('\n\n')}\n`;
}

/** Two columns; the second is wrapped between words. */
function table(rows: readonly (readonly [string, string])[], width: number): string {
  const left = Math.max(...rows.map(([first]) => first.length)) + 4;
  return rows
    .map(([first, second]) => {
      const lines = [''];
      for (const word of second.split(' ')) {
        const last = lines.at(-1) ?? '';
        if (last !== '' && left + last.length + word.length + 1 > width) lines.push(word);
        else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
      }
      return lines
        .map((line, index) => `${index === 0 ? `  ${first}`.padEnd(left) : ' '.repeat(left)}${line}`)
        .join('\n');
    })
    .join('\n');
}
