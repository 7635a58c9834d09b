import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '../support/within.ts';
import { ROOT } from './executable.ts';
import { PINNED, packTarball } from './tarball.ts';

const run = promisify(execFile);
const env = PINNED;

/** What the npm tarball is to whoever installs it beside the pinned Node: a program, and a library. */
export function describePublished(): void {
  describe('the published package', () => {
    let folder: string;
    let files: readonly string[];

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'backdial-published-'));
      const { file, contents } = await packTarball();
      files = contents;
      await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
      const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
      await run('npm', ['install', ...flags, file], { cwd: folder, env });
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it('has the compiled sources, conf, systemd and the papers, and nothing else', () => {
      const odd = files.filter(
        (file) =>
          !/^(?:dist\/.+\.(?:js|d\.ts)|dist\/cli\/page\/.+|conf\/.+\.(?:json5|json|ya?ml)|systemd\/.+\.(?:service|socket|conf)|dist\/schemas\/.+\.schema\.json)$/.test(
            file,
          ),
      );
      assert.deepEqual(odd.toSorted(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
      assert.ok(files.includes('dist/cli/main.js') && files.includes('dist/index.d.ts'));
      assert.ok(!files.some((file) => file.includes('test')), 'no test is shipped');
    });

    it('gives a working `backdial demo`', async () => {
      const demo = spawn(join(folder, 'node_modules/.bin/backdial'), ['demo', '--port', '0'], { cwd: folder, env });
      let shown = '';
      demo.stdout.setEncoding('utf8').on('data', (part: string) => {
        shown += part;
      });
      try {
        await eventually('the curl line', () => /^ {2}curl .+$/m.test(shown), 20_000);
        const [line = ''] = shown.match(/curl .+$/m) ?? [];
        const { stdout } = await run('bash', ['-c', `${line} --silent --show-error --max-time 10`]);
        assert.match(stdout, /^Hello from behind the tunnel\./);
      } finally {
        demo.kill('SIGTERM');
      }
    });

    it('serves the status page, with all that it is made of', async () => {
      await writeFile(join(folder, 'server.json5'), '{ listen: "127.0.0.1:0", admin: { listen: "unix:admin.sock" } }');
      await mkdir(join(folder, 'domains'), { recursive: true });
      const server = spawn(join(folder, 'node_modules/.bin/backdial'), ['server', '-c', 'server.json5'], {
        cwd: folder,
        env,
      });
      const get = (path: string) =>
        run('curl', ['-sf', '--unix-socket', join(folder, 'admin.sock'), `http://localhost${path}`]);
      try {
        let shown = '';
        server.stdout.setEncoding('utf8').on('data', (part: string) => {
          shown += part;
        });
        await eventually('the start', () => shown.includes('"msg":"ready; '), 20_000);
        const { stdout: page } = await get('/');
        const parts = Array.from(page.matchAll(/(?:src|href)="([^"]+)"/g), ([, path]) => `/${path}`);
        assert.equal(parts.length, 3);
        for (const part of [...parts, '/preact.js']) assert.ok((await get(part)).stdout.length > 100, part);
      } finally {
        server.kill('SIGTERM');
      }
    });

    it('gives a library with types, and no more than src/index.ts exports', async () => {
      await writeFile(
        join(folder, 'use.ts'),
        `import { type Agent, BackdialError, createAgent, createServer, ERRORS, Secret, type Server } from 'backdial';
       export const server: Server = createServer({ listen: [], certificates: [], domains: [] });
       export const make = (): Agent => createAgent({ domains: [{ name: 'a', secret: new Secret('s'), target: { kind: 'tcp', host: 'h', port: 1 } }] });
       // @ts-expect-error a port is a number
       createServer({ listen: [{ host: 'a', port: '1' }], certificates: [], domains: [] });
       export const known: number = ERRORS['domain-unknown'].status;
       export { BackdialError };`,
      );
      const flags = '--noEmit --strict --target es2024 --module nodenext --moduleResolution nodenext --types node';
      const roots = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--skipLibCheck', 'false'];
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      await run(tsc, [...flags.split(' '), ...roots, 'use.ts'], { cwd: folder, env }).catch(({ stdout }) => {
        assert.fail(stdout);
      });
      const script = `import * as all from 'backdial'; console.log(Object.keys(all).sort().join());`;
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: folder });
      assert.equal(stdout, 'BackdialError,ERRORS,Secret,createAgent,createServer\n');
      await assert.rejects(
        run(process.execPath, ['-e', "require('backdial/dist/index.js')"], { cwd: folder }),
        /ERR_PACKAGE_PATH/,
      );
    });

    it('knows its own version', async () => {
      const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
      const { stdout } = await run(join(folder, 'node_modules/.bin/backdial'), ['--version'], { cwd: folder, env });
      assert.equal(stdout, `${version}\n`);
    });
  });
}
