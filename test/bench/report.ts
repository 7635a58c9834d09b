import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { styleText } from 'node:util';
import { lookForTool } from '../support/tools.ts';
import { type Figure, passes } from './bench.ts';
import { lookForRathole } from './rathole.ts';

/** How one bench went. */
export interface BenchReport {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  /** Why there are no figures. */
  readonly skipped?: string;
  readonly failed?: string;
}

/** The machine and the versions, in one line: figures without them mean nothing. */
export function describeMachine(): string {
  const cores = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  const versions = [`Node ${process.versions.node}`, nginxVersion(), ratholeVersion()].filter((text) => text !== null);
  return `${cores.length} cores ${cores[0]?.model.trim() ?? 'unknown'}, ${memory}, Linux ${release()}; ${versions.join(', ')}`;
}

/** For a terminal: one line a figure. */
export function formatTable({ figures }: BenchReport): string {
  const rows = figures.map((one) => ({ cells: cells(one), passed: passes(one) }));
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => (row.cells[column] ?? '').length)));
  return rows
    .map(({ cells: row, passed }) => {
      const line = row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd();
      if (passed === null) return `  ${line}`;
      return `  ${line}  ${passed ? styleText('green', 'ok') : styleText('red', 'FAILED')}`;
    })
    .join('\n');
}

/** For README: one table of all benches. */
export function formatMarkdown(machine: string, reports: readonly BenchReport[]): string {
  const lines = [`Measured on ${machine}. Median of all rounds, least and most in parentheses.`, ''];
  for (const report of reports) {
    lines.push(`**${report.name}**: ${report.title}`, '');
    const reason = report.failed ?? report.skipped;
    if (reason !== undefined) lines.push(`not measured: ${reason}`, '');
    if (report.figures.length === 0) continue;
    lines.push('| system | figure | median | (least - most) | required |', '|---|---|---|---|---|');
    for (const one of report.figures) lines.push(`| ${cells(one).join(' | ')} |`);
    lines.push('');
  }
  return lines.join('\n');
}

function cells({ subject, quantity, unit, spread, limit }: Figure): string[] {
  const required =
    limit === undefined ? '' : 'atMost' in limit ? `at most ${limit.atMost}` : `at least ${limit.atLeast}`;
  const range = `(${digits(spread.min)} - ${digits(spread.max)})`;
  return [subject, quantity, `${digits(spread.median)} ${unit}`, range, required];
}

/** Three digits that mean something; no figure here is better than that. */
function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function nginxVersion(): string | null {
  const path = lookForTool('nginx');
  // nginx says it on stderr.
  return path === null
    ? null
    : execFileSync('sh', ['-c', '"$0" -v 2>&1', path], { encoding: 'utf8' }).trim().replace(/^.*: /, '');
}

function ratholeVersion(): string | null {
  const path = lookForRathole();
  if (path === null) return null;
  const text = execFileSync(path, ['--version'], { encoding: 'utf8' });
  return `rathole ${/Build Version:\s+(\S+)/.exec(text)?.[1] ?? '?'}`;
}
