// `npm run packages`: single executables for Linux x64 and arm64 and a Debian package of each, in `packages/`.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildDeb } from './deb.ts';
import { buildExecutable, packageVersion, ROOT } from './executable.ts';

const folder = join(ROOT, 'packages');
const version = packageVersion();
/** The time of the last commit: who builds it again gets the same bytes. */
const epoch = Number(
  process.env.SOURCE_DATE_EPOCH ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' }),
);

mkdirSync(folder, { recursive: true });
for (const architecture of ['x64', 'arm64'] as const) {
  const executable = join(folder, `backdial-${version}-linux-${architecture}`);
  await buildExecutable({ architecture, work: join(folder, `work-${architecture}`), output: executable });
  const debian = architecture === 'x64' ? 'amd64' : architecture;
  const output = join(folder, `backdial_${version}_${debian}.deb`);
  buildDeb({ executable, architecture, version, work: join(folder, 'work-deb'), output, epoch });
  process.stdout.write(`${executable}\n${output}\n`);
}
