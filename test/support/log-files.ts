import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { LogFile } from '../../src/core/log-destination.ts';
import type { DestinationReport } from '../../src/log/destination.ts';

/** A log file without rotation, unless `changes` ask for it. */
export function logFile(file: string, changes: Partial<LogFile> = {}): LogFile {
  return { file, daily: false, maxBytes: 0, keep: 0, gzip: false, ...changes };
}

/** The names in a folder, sorted. */
export function namesIn(folder: string): string[] {
  return readdirSync(folder).toSorted();
}

/** The lines of a log file, compressed or not, each parsed: fails for anything that is no whole record. */
export function recordsIn(file: string): Record<string, unknown>[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new Error(`${file} does not end in a whole line: ...${text.slice(-80)}`);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The records of every file of a folder. */
export function recordsUnder(folder: string): Record<string, unknown>[] {
  return namesIn(folder).flatMap((name) => recordsIn(join(folder, name)));
}

/** Keeps the reports of a destination, and counts what they say was dropped. */
export function keepReports() {
  const reports: DestinationReport[] = [];
  return {
    reports,
    report: (report: DestinationReport) => void reports.push(report),
    dropped: () => reports.reduce((sum, { dropped }) => sum + dropped, 0),
    states: () => reports.map(({ state }) => state),
  };
}
