import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { visit } from '../support/curl.ts';
import { listenOn } from '../support/listen-on.ts';
import { codeBlock } from '../support/readme.ts';
import { MAIN, type RunningCli, startCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

/** Lines that install, add users, change owners or speak to systemd: this test starts the programs itself. */
const OF_THE_MACHINE = /^(?:npm|apt|useradd|cp|chown|chgrp|systemctl) /;

/** Runs what is left of a block of README with other places; gives its standard output. */
function runBlock(block: string, places: Readonly<Record<string, string>>): string {
  let text = block.replace(/\\\n/g, ' ');
  for (const [from, to] of Object.entries(places)) {
    assert.ok(text.includes(from), `README says ${from}`);
    text = text.replaceAll(from, to);
  }
  const lines = text.split('\n').filter((line) => !OF_THE_MACHINE.test(line));
  const script = `set -eu\nbackdial() { '${process.execPath}' '${MAIN}' "$@"; }\n${lines.join('\n')}`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  const port = await listenOn(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("README's ten lines", () => {
  it('make a server and an agent that serve a visitor; so does the line that `domain add` prints', async () => {
    await using stack = new AsyncDisposableStack();
    const start = (...args: string[]): RunningCli => {
      const running = startCli(args);
      stack.defer(() => void running.child.kill('SIGKILL'));
      return running;
    };
    const target = http.createServer((_request, response) => response.end('served'));
    stack.defer(() => void target.close());
    const targetPort = await listenOn(target);
    const port = await freePort();
    await withFolder({}, async (folder) => {
      const serverFolder = `${folder}/server`;
      const agentFolder = `${folder}/agent`;
      const [before = '', domainAdd = ''] = codeBlock('sh server').split(/^(?=backdial domain add)/m);
      const serverPlaces = { '/etc/backdial': serverFolder };
      runBlock(before, {
        ...serverPlaces,
        '/var/lib/backdial-server': `${folder}/state`,
        '"0.0.0.0:443", "[::]:443"': `"127.0.0.1:${port}"`,
      });
      const first = start('server', '-c', `${serverFolder}/server.json5`);
      await first.see(/ready; /);
      const printed = runBlock(domainAdd, { ...serverPlaces, 'vps.example.com': `127.0.0.1:${port}` });
      await first.end('SIGTERM');
      await start('server', '-c', `${serverFolder}/server.json5`).see(/ready; active domains: 1/);

      const [, secret = '', pin = ''] = /^BACKDIAL_SECRET=(\S+) .* --pin (sha256\/\S+)$/m.exec(printed) ?? [];
      const agentPlaces = {
        '/etc/backdial': agentFolder,
        'vps.example.com': `127.0.0.1:${port}`,
        'THE-SECRET': secret,
        'THE-PIN': pin,
        'http://127.0.0.1:3000': `http://127.0.0.1:${targetPort}`,
      };
      const file = `${agentFolder}/domains/www.example.com.json5`;
      runBlock(codeBlock('sh agent'), agentPlaces);
      const written = readFileSync(file, 'utf8');
      // With the Debian package the folder and the agent's own file are there.
      runBlock(codeBlock('sh packages-agent'), agentPlaces);
      assert.equal(readFileSync(file, 'utf8'), written);
      const agent = start('agent', '-c', `${agentFolder}/agent.json5`);
      await agent.see(/ready; domains served: 1/);
      assert.equal(await visit('www.example.com', port, '/', ['--insecure']), 'served');
      await agent.end('SIGTERM');

      const line = printed.trim().replace('http 3000', `http ${targetPort}`);
      const shell = `backdial() { exec '${process.execPath}' '${MAIN}' "$@"; }\n${line}`;
      const quick = spawn('bash', ['-c', shell], { stdio: ['ignore', 'pipe', 'inherit'] });
      stack.defer(() => void quick.kill('SIGKILL'));
      for await (const part of quick.stdout) if (String(part).includes('tunnel-opened')) break;
      assert.equal(await visit('www.example.com', port, '/', ['--insecure']), 'served');
    });
  });
});
