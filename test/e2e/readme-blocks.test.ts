import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Secret } from '../../src/core/secret.ts';
import { readCrls } from '../../src/pki/crl.ts';
import { testAuthority } from '../support/certificates.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { hear } from '../support/hear.ts';
import { codeBlock } from '../support/readme.ts';
import { MAIN, startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { startServer } from '../support/with-server.ts';

const run = promisify(execFile);
const SECRET = new Secret('a secret of enough bytes');
const CI_SECRET = new Secret('the secret of the identity');

/** A block of README with other places; each of them has to be there. */
function block(opening: string, places: Readonly<Record<string, string>>): string {
  return Object.entries(places).reduce((text, [from, to]) => {
    assert.ok(text.includes(from), `README's ${opening} says ${from}`);
    return text.replaceAll(from, to);
  }, codeBlock(opening));
}

/** `PATH` with `backdial` in front, as README writes it. */
function withProgram(folder: string): NodeJS.ProcessEnv {
  writeFileSync(join(folder, 'backdial'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(join(folder, 'backdial'), 0o755);
  return { PATH: `${folder}:${process.env.PATH}` };
}

describe("README's blocks, pasted as they are", () => {
  it('make an authority, certificates of a server and a visitor, and take one back', async () => {
    await withFolder({}, async (folder) => {
      await run('sh', ['-ec', codeBlock('sh pki')], { cwd: folder, env: withProgram(folder) });
      for (const file of ['ca.pem', 'ca.key', 'server/server.pem', 'server/server.key', 'jane/client.pem']) {
        assert.ok(existsSync(join(folder, file)), file);
      }
      const [list] = readCrls(readFileSync(join(folder, 'crl.pem'), 'utf8'));
      assert.equal(list?.revoked.size, 1);
    });
  });

  it('open a port at the server, list it and close it; reach names by a listener and by stdio', {
    skip: missingTools('curl'),
  }, async () => {
    await using stack = new AsyncDisposableStack();
    const target = await startEchoTarget('service');
    stack.defer(() => target.close());
    assert.ok(target.address.kind === 'tcp');
    const destination = `127.0.0.1:${target.address.port}`;
    const [api, exposed, listened] = [await steadyPort(), await steadyPort(), await steadyPort()];
    const grants = { ports: [{ first: exposed, last: exposed }] };
    const connect = ['db.internal', 'home.internal'].map((name) => ({ name, ports: null }));
    const server = await startServer({
      domains: [
        { name: 'db.internal', secrets: [SECRET], grants },
        { name: 'home.internal', secrets: [SECRET] },
      ],
      grants: [{ identity: 'ci', secrets: [CI_SECRET], connect }],
    });
    stack.defer(() => server.close());
    const remote = `127.0.0.1:${server.port}`;
    const ca = testAuthority().certFile;
    const domain = (ports: object) =>
      JSON.stringify({ active: true, secret: SECRET.reveal(), remote, ca, connections: 1, ports });
    const files = {
      'agent.json5': `{ api: { listen: "127.0.0.1:${api}" } }`,
      'domains/db.internal.json5': domain({ 5432: destination }),
      'domains/home.internal.json5': domain({ 22: destination }),
      'ci.secret': CI_SECRET.reveal(),
    };
    await withFolder(files, async (folder) => {
      const env = withProgram(folder);
      const shell = async (script: string) => (await run('sh', ['-ec', script], { cwd: folder, env })).stdout;
      const agent = startCli(['agent', '-c', join(folder, 'agent.json5')]);
      stack.defer(() => void agent.child.kill('SIGKILL'));
      await agent.see(/ready; domains served: 2/);

      const places = { '127.0.0.1:7070': `127.0.0.1:${api}`, 2543: String(exposed), 'vps.example.com:443': remote };
      const text = block('sh expose', { ...places, 'db.lan:5432': destination });
      const [make = '', list = '', remove = ''] = text.split(/^(?=curl )/m);
      const id = (await shell(make)).trim();
      await agent.see(/"event":"port-opened"/);
      assert.match(await shell(list), /"status":"COMPLETE"/);
      assert.equal(await hear(exposed), 'service');
      assert.ok(remove.includes('THE-ID'));
      await shell(remove.replace('THE-ID', id));
      assert.equal(await hear(exposed), null);

      const reach = block('sh connect', {
        'tunnel.example.com': `${remote} --ca ${ca}`,
        '--listen 5432': `--listen ${listened}`,
      });
      const [listen = '', proxied = ''] = reach.trim().split('\n');
      const listener = spawn('sh', ['-ec', `exec ${listen}`], {
        cwd: folder,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      stack.defer(() => void listener.kill('SIGKILL'));
      for await (const part of listener.stderr) if (String(part).includes('leads to db.internal:5432')) break;
      assert.equal(await hear(listened), 'service');

      const [, command = '', host = ''] = /^ssh -o ProxyCommand='([^']+)' (\S+)$/.exec(proxied) ?? [];
      const asSsh = command.replace('%h', host).replace('%p', '22');
      assert.equal(await shell(`printf ' heard' | ${asSsh}`), 'service heard');
    });
  });
});
