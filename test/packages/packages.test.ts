import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { makeRoomyFolder } from '../support/roomy-folder.ts';
import { RootSystem, removeAsRoot } from '../support/root-system.ts';
import { runCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { buildDeb } from './deb.ts';
import { buildExecutable, packageVersion, renumberExecutable } from './executable.ts';
import { buildImage } from './image.ts';
import { tryAsNewUser } from './new-user.ts';
import { describePublished } from './published.ts';
import { packTarball } from './tarball.ts';
import { tryImage } from './try-image.ts';
import { tryTarball } from './try-tarball.ts';

const run = promisify(execFile);
const skip = missingTools('mmdebstrap', 'dpkg-deb', 'qemu-aarch64-static', 'curl', 'unshare', 'npm');
const EPOCH = 1_700_000_000;
const NEXT = '9.0.0';
const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

describePublished();

describe('the packages', { skip }, () => {
  const work = makeRoomyFolder('backdial-packages-');
  const path = (name: string) => join(work, name);
  const version = packageVersion();
  /** As it was made. */
  let clean: RootSystem;
  /** What packages are installed into. */
  let system: RootSystem;
  let foreign: RootSystem;

  const deb = (executable: string, ofVersion: string, output: string) =>
    buildDeb({ executable, architecture: 'x64', version: ofVersion, work: path('deb'), output, epoch: EPOCH });

  before(async () => {
    [clean, foreign] = await Promise.all([
      RootSystem.make({ include: ['passwd', 'libstdc++6', 'libatomic1'] }),
      RootSystem.make({ include: ['libc6', 'libstdc++6', 'libatomic1', 'libgcc-s1'], foreign: 'arm64' }),
      buildExecutable({ architecture: 'x64', work: path('x64'), output: path('backdial') }),
      buildExecutable({ architecture: 'arm64', work: path('arm64'), output: path('backdial-arm64') }),
    ]);
    system = clean.copy();
    deb(path('backdial'), version, path('backdial.deb'));
    renumberExecutable(path('backdial'), path('backdial-next'), NEXT);
    deb(path('backdial-next'), NEXT, path('next.deb'));
  });
  after(() => {
    clean?.remove();
    system?.remove();
    foreign?.remove();
    removeAsRoot(work);
  });

  it('are the same bytes each time', async () => {
    await buildExecutable({ architecture: 'x64', work: path('again'), output: path('backdial-again') });
    assert.equal(sha256(path('backdial-again')), sha256(path('backdial')));
    deb(path('backdial-again'), version, path('again.deb'));
    assert.equal(sha256(path('again.deb')), sha256(path('backdial.deb')));
  });

  it('have an executable for arm64 that runs where there is one', async () => {
    const head = readFileSync(path('backdial-arm64')).subarray(0, 20);
    assert.equal(head.toString('latin1', 1, 4), 'ELF');
    // EM_AARCH64
    assert.equal(head.readUInt16LE(18), 183);
    const emulated = [findTool('qemu-aarch64-static'), '-L', foreign.folder, path('backdial-arm64')] as const;
    const { stdout } = await run(emulated[0], [...emulated.slice(1), '--version'], { timeout: 60_000 });
    assert.equal(stdout.trim(), version);
  });

  it('have an executable that knows all that the sources know', async () => {
    const program = [path('backdial')] as const;
    const [built, source] = await Promise.all([runCli(['--help'], { program: [...program] }), runCli(['--help'])]);
    assert.equal(built.stdout, source.stdout);
    const wrong = await runCli(['http', '3000', '--sever', 'x'], { program: [...program] });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /unknown argument: sever/);
  });

  it('install on a clean system, start nothing, and keep the configuration when upgraded under load', async () => {
    copyFileSync(path('backdial.deb'), system.path('/tmp/backdial.deb'));
    copyFileSync(path('next.deb'), system.path('/tmp/next.deb'));
    assert.match(system.run('dpkg', '--install', '/tmp/backdial.deb'), /Setting up backdial/);
    assert.equal(system.run('backdial', '--version').trim(), version);
    assert.ok(!existsSync(system.path('/etc/systemd/system/multi-user.target.wants')), 'a unit is enabled');
    assert.match(
      system.run('stat', '-c', '%U:%G %a', '/etc/backdial', '/etc/backdial/server.json5'),
      /^root:backdial 750\nroot:backdial 640\n$/,
    );
    assert.match(system.run('backdial', 'check', '-c', '/etc/backdial/server.json5'), /: no problem$/m);
    assert.match(system.run('dpkg', '--status', 'backdial'), /Conffiles:\n \/etc\/backdial\/server\.json5/);
    await tryAsNewUser(system, () => system.run('dpkg', '--install', '/tmp/next.deb'), NEXT);
  });

  it('leave nothing behind when purged', () => {
    system.run('dpkg', '--remove', 'backdial');
    assert.ok(existsSync(system.path('/etc/backdial/server.json5')), 'a removal keeps the configuration');
    system.run('dpkg', '--purge', 'backdial');
    const left = system.run('find', '/etc', '/usr', '/var/lib', '/var/log', '-iname', '*backdial*');
    assert.equal(left, '');
    assert.doesNotMatch(
      readFileSync(system.path('/etc/passwd'), 'utf8') + readFileSync(system.path('/etc/group'), 'utf8'),
      /backdial/,
    );
  });

  it('have an npm tarball that works on a clean system with nothing but Node, as server and as agent', async () => {
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    const { file } = await packTarball();
    await run('npm', ['install', '--global', '--prefix', system.path('/opt'), ...flags, file], { cwd: work });
    writeFileSync(system.path('/usr/bin/node'), readFileSync(process.execPath), { mode: 0o755 });
    assert.equal(system.run('/opt/bin/backdial', '--version').trim(), version);
    assert.match(
      system.run('/opt/bin/backdial', 'password', 'Hello world!', '--salt', 'saltstring'),
      /^\$6\$saltstring\$svn8UoSVapNtMuq1/m,
    );
    assert.ok(
      execFileSync('ls', [system.path('/opt/lib/node_modules/backdial/dist/schemas')], { encoding: 'utf8' }).includes(
        'server.schema.json',
      ),
    );
    await tryTarball(system, '/opt/bin/backdial');
  });

  it('have an image, whose steps give a server, and an agent that the environment alone configures; its health check tells', async () => {
    await tryImage(buildImage(clean.folder, path('image')), path('image'));
  });
});
