import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fileSchemas } from '../../src/config/json-schema.ts';
import { describeKeys, keyComments } from '../../src/config/schema-comments.ts';
import { type Architecture, ROOT } from './executable.ts';

export interface DebOptions {
  /** The single executable that it ships. */
  readonly executable: string;
  readonly architecture: Architecture;
  readonly version: string;
  /** Folder of what is made on the way; emptied. */
  readonly work: string;
  readonly output: string;
  /** Seconds since 1970: what files are dated, so that two builds are alike. */
  readonly epoch: number;
}

const DEBIAN: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };
const UNITS = ['backdial-server.service', 'backdial-server.socket', 'backdial-agent.service'];
const SCHEMAS = '/usr/share/backdial/schemas';

/** A Debian package of the executable, the units (not enabled) and the configuration. Debian's own Node is too old for it. */
export function buildDeb(options: DebOptions): void {
  rmSync(options.work, { recursive: true, force: true });
  const root = join(options.work, 'root');
  const put = (path: string, content: string | Buffer, mode = 0o644): void => {
    const file = join(root, path);
    makeFolder(root, dirname(path));
    writeFileSync(file, content);
    chmodSync(file, mode);
  };
  const source = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

  makeFolder(root, '/usr/bin');
  cpSync(options.executable, join(root, '/usr/bin/backdial'));
  chmodSync(join(root, '/usr/bin/backdial'), 0o755);
  for (const unit of UNITS) put(`/usr/lib/systemd/system/${unit}`, source(`systemd/${unit}`));
  put('/usr/lib/sysusers.d/backdial.conf', source('systemd/backdial.sysusers.conf'));
  put('/usr/lib/tmpfiles.d/backdial.conf', source('systemd/backdial.tmpfiles.conf'));
  for (const { name, example, schema } of fileSchemas()) {
    const described = describeKeys(schema, keyComments(source(`conf/${example}`)));
    put(`${SCHEMAS}/${name}.schema.json`, `${JSON.stringify(described, null, 2)}\n`);
  }
  for (const file of globSync('conf/**/*.json5', { cwd: ROOT })) {
    put(`/usr/share/doc/backdial/${file.replace(/^conf\/(?:examples\/)?/, 'examples/')}`, installed(source(file)));
  }
  put('/etc/backdial/server.json5', ofUnit('server', source('conf/server.json5')), 0o640);
  put('/etc/backdial/agent.json5', ofUnit('agent', source('conf/agent/agent.json5')), 0o640);
  put('/usr/share/doc/backdial/copyright', source('LICENSE'));
  put('/usr/share/doc/backdial/changelog.gz', gzipSync(source('CHANGELOG.md'), { level: 9 }));
  put('/usr/share/doc/backdial/README.md.gz', gzipSync(source('README.md'), { level: 9 }));

  put('/DEBIAN/control', control(options, statSync(options.executable).size));
  put('/DEBIAN/conffiles', '/etc/backdial/server.json5\n/etc/backdial/agent.json5\n');
  for (const script of ['postinst', 'prerm', 'postrm']) {
    put(`/DEBIAN/${script}`, readFileSync(new URL(`./debian/${script}`, import.meta.url), 'utf8'), 0o755);
  }
  execFileSync('dpkg-deb', ['--build', '--root-owner-group', '-Zzstd', '-z3', root, options.output], {
    stdio: 'pipe',
    env: { ...process.env, SOURCE_DATE_EPOCH: String(options.epoch) },
  });
  rmSync(options.work, { recursive: true, force: true });
}

/** With modes of its own: a umask must not show in the package. */
function makeFolder(root: string, path: string): void {
  let folder = root;
  for (const part of path.split('/')) {
    folder = join(folder, part);
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
  }
}

/** A file of conf/ with its schema where the package has it. */
function installed(text: string): string {
  return text.replace(/"(?:\.\.\/)+dist\/schemas\//, `"${SCHEMAS}/`);
}

/** The same with the folder of its unit written out: who runs a command has no $STATE_DIRECTORY, and looks for the pin there. */
function ofUnit(kind: 'server' | 'agent', text: string): string {
  if (!text.includes('\n  state: null,\n')) throw new Error(`the ${kind}'s file has no \`state: null\``);
  return installed(text).replace('\n  state: null,\n', `\n  state: "/var/lib/backdial-${kind}",\n`);
}

function control({ version, architecture }: DebOptions, bytes: number): string {
  return `Package: backdial
Version: ${version}
Architecture: ${DEBIAN[architecture]}
Maintainer: The Backdial authors <backdial@backdial.invalid>
Installed-Size: ${Math.ceil(bytes / 1_024)}
Depends: libc6 (>= 2.28), libstdc++6 (>= 12), libatomic1, passwd
Recommends: ca-certificates
Section: net
Priority: optional
Description: reverse-dial tunnel: puts a service behind NAT on the internet
 An agent beside the service dials out to a server on a public machine and turns
 the connection around; visitors reach the service at the server, by HTTPS under
 a name or on a TCP port. This package has server and agent; neither is started
 before its unit is enabled.
`;
}
