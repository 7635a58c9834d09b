import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Machines that executables are built for; the same words as in the names of Node's packages. */
export type Architecture = 'x64' | 'arm64';

export interface ExecutableOptions {
  readonly architecture: Architecture;
  /** Folder of what is made on the way. */
  readonly work: string;
  /** Where the executable goes. */
  readonly output: string;
}

/** A plain file of the standard library's. */
const BANNER = "const __bundle = require('node:url').pathToFileURL(__filename).href;";

/**
 * A single executable: the pinned Node with the program in one CommonJS file (SEA). Without a code cache, which no two builds
 * make alike, and so that one machine can build for another.
 */
export async function buildExecutable({ architecture, work, output }: ExecutableOptions): Promise<void> {
  mkdirSync(work, { recursive: true });
  const [main, worker] = ['main.cjs', 'sha512-worker.js'];
  await Promise.all([
    bundle('src/cli/main.ts', join(work, main)),
    bundle('src/server/sha512-worker.ts', join(work, worker)),
  ]);
  const node = architecture === 'x64' ? process.execPath : await downloadNode(architecture, work);
  const config = join(work, 'sea.json');
  writeFileSync(
    config,
    JSON.stringify({
      main,
      output,
      executable: node,
      assets: { [worker]: worker, ...pageAssets() },
      disableExperimentalSEAWarning: true,
      useCodeCache: false,
      // What is written behind the command is the command's.
      execArgvExtension: 'none',
    }),
  );
  // Paths relative to the folder: the executable has them in it.
  await run(process.execPath, ['--build-sea', config], { cwd: work });
  chmodSync(output, 0o755);
}

/** The files of the status page, under the names by which they are asked for. */
function pageAssets(): Record<string, string> {
  const folder = join(ROOT, 'src/cli/page');
  const page = readdirSync(folder).map((name) => [`page/${name}`, join(folder, name)]);
  const preact = fileURLToPath(import.meta.resolve('htm/preact/standalone'));
  return Object.fromEntries([...page, ['page/preact.js', preact]]);
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    // Names of errors and classes are read in logs.
    keepNames: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    legalComments: 'none',
    logLevel: 'error',
    define: { 'import.meta.url': '__bundle' },
    banner: { js: BANNER },
  });
}

/** Another version of an executable, which says so: to build one takes seconds. `version` has as many characters as the present one. */
export function renumberExecutable(executable: string, output: string, version: string): void {
  const bytes = readFileSync(executable);
  const [old, next] = [packageVersion(), version].map((each) => Buffer.from(`="${each}"`)) as [Buffer, Buffer];
  const place = bytes.indexOf(old);
  if (place === -1 || bytes.includes(old, place + 1) || old.length !== next.length) {
    throw new Error(`${executable} does not have ${old} in one place, or ${next} does not fit there`);
  }
  next.copy(bytes, place);
  writeFileSync(output, bytes, { mode: 0o755 });
}

/** The Node of another machine, as npm has it; the same version as the one that runs this. */
async function downloadNode(architecture: Architecture, work: string): Promise<string> {
  const name = `node-linux-${architecture}@${process.versions.node}`;
  const { stdout } = await run('npm', ['pack', '--silent', '--prefer-offline', '--pack-destination', work, name]);
  const archive = stdout.trim().split('\n').at(-1) ?? '';
  await run('tar', ['-xzf', join(work, archive), '-C', work, 'package/bin/node']);
  return join(work, 'package/bin/node');
}

/** What package.json says. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}
