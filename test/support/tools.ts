import { accessSync, constants, existsSync, globSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Daemons live in `sbin`, which is not on everybody's path, and PostgreSQL where each version has its own. */
const EXTRA_FOLDERS = [
  '/usr/sbin',
  '/sbin',
  '/usr/local/sbin',
  '/usr/local/bin',
  ...globSync('/usr/lib/postgresql/*/bin'),
];

/** The path of a program, or null where it is not installed. What has a path already (a module) need only be readable. */
export function lookForTool(name: string): string | null {
  if (isAbsolute(name)) return existsSync(name) ? name : null;
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...EXTRA_FOLDERS]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return null;
}

/** The path of a program that a test cannot do without; fails where it is missing. */
export function findTool(name: string): string {
  const path = lookForTool(name);
  if (path === null) throw new Error(`the tests need \`${name}\`; install it (see .ci/run)`);
  return path;
}

/**
 * For the `skip` option of a test that drives real programs: false when all are there. Where one is missing the test is
 * skipped, loudly, on a developer's machine; in CI it is run, and fails, because there nothing may be missing.
 */
export function missingTools(...names: readonly string[]): string | false {
  const missing = names.filter((name) => lookForTool(name) === null);
  if (missing.length === 0 || process.env.CI) return false;
  const text = `not installed: ${missing.join(', ')}`;
  console.warn(`SKIPPED, ${text}`);
  return text;
}
