import { readFileSync } from 'node:fs';

/** Where something is mounted in what this process sees, a single file included; empty where the system does not tell. */
export function mountPoints(): ReadonlySet<string> {
  try {
    return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch {
    return new Set();
  }
}

/** The mount points of a `mountinfo` (proc(5)): the fifth field, in which blanks, line feeds and backslashes are octal. */
export function parseMountInfo(text: string): Set<string> {
  const paths = text.split('\n').flatMap((line) => line.split(' ')[4] ?? []);
  return new Set(paths.map((path) => path.replace(/\\([0-7]{3})/g, (_, octal: string) => fromOctal(octal))));
}

function fromOctal(octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8));
}
