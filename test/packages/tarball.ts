import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './executable.ts';

const run = promisify(execFile);

/** The runtime of these tests first: that is "beside the pinned Node". */
export const PINNED = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };

/** What `npm pack` made. */
export interface Tarball {
  readonly file: string;
  /** Paths of what is in it. */
  readonly contents: readonly string[];
}

let packed: Promise<Tarball> | null = null;

/** Packs the repository, once in a process: it builds `dist`, which takes seconds. The file is removed with the end of the process. */
export function packTarball(): Promise<Tarball> {
  packed ??= pack();
  return packed;
}

async function pack(): Promise<Tarball> {
  const folder = mkdtempSync(join(tmpdir(), 'backdial-pack-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: ROOT, env: PINNED });
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  return { file: join(folder, filename), contents: files.map(({ path }: { path: string }) => path) };
}
