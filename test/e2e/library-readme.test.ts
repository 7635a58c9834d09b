import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { listenOn } from '../support/listen-on.ts';
import { codeBlock } from '../support/readme.ts';
import { ROOT } from '../support/source-imports.ts';
import { withFolder } from '../support/with-folder.ts';
import { openTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const FACE = pathToFileURL(join(ROOT, 'src/index.ts')).href;

/** Runs a program to its end. */
async function run(cwd: string, text: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out = { stdout: '', stderr: '' };
  for (const where of ['stdout', 'stderr'] as const)
    child[where].setEncoding('utf8').on('data', (part) => (out[where] += part));
  try {
    const code = await within('its end', new Promise<number | null>((resolve) => child.once('close', resolve)));
    return { code, ...out };
  } finally {
    child.kill('SIGKILL');
  }
}

describe('the library, as README shows it', () => {
  it('is embedded, server and agent, in a program of 20 lines that runs as pasted and ends by itself', async () => {
    const program = codeBlock('js library');
    assert.ok(
      program
        .trim()
        .split('\n')
        .filter((line) => line !== '').length <= 20,
    );
    const { cert, key } = testCertificate();
    const files = { 'ca.pem': testAuthority().cert, 'server.pem': cert, 'server.key': key };
    await withFolder(files, async (folder) => {
      assert.ok(program.includes(`from 'backdial'`));
      const result = await run(folder, program.replace(`'backdial'`, `'${FACE}'`));
      assert.deepEqual(result, { code: 0, stdout: 'hello /world\n', stderr: '' });
    });
  });

  it('reaches in by name: a byte stream to a port of one instance, and HTTP', async () => {
    const echo = await startEchoTarget('');
    const target = http.createServer((_request, response) => response.end('of the target'));
    const address = { kind: 'tcp', host: '127.0.0.1', port: await listenOn(target) } as const;
    const agentDomain = { ports: { 5432: echo.address } };
    const tunnel = await openTunnel({ target: address, agentDomain });
    try {
      const shown = new PassThrough();
      const program = new Function(
        'server',
        'http',
        'process',
        `return (async () => {
        ${codeBlock('js library-dial').replace('db.', 'first.')}
        return { stream, agent };
      })()`,
      );
      const { stream, agent } = await program(tunnel.server, http, { stdout: shown });
      assert.equal(String(await within('the echo', stream.toArray())), 'ping');
      assert.equal(String(await within('the answer', shown.toArray())), 'of the target');
      agent.destroy();
    } finally {
      await tunnel.close();
      target.close();
      echo.close();
    }
  });
});
