import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { describe, it } from 'node:test';
import { runTool } from '../support/real-program.ts';
import { MAIN, runCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

const skip = missingTools('systemd-socket-activate', 'curl');

const file = (listen: string, more = '') => ({
  'server.json5': `{ listen: ${listen}, ${more} log: { access: "console", disconnected: true } }`,
  'domains/www.example.com.json5': '{ active: true, secret: "a secret of enough bytes" }',
});

/** A server behind sockets that systemd opened; it starts with the first visitor. */
async function activate(
  folder: string,
  places: readonly (number | string)[],
  flags: readonly string[],
  stack: AsyncDisposableStack,
) {
  const listen = places.flatMap((place) => ['-l', typeof place === 'number' ? `127.0.0.1:${place}` : place]);
  const program = [process.execPath, MAIN, 'server', '-c', `${folder}/server.json5`];
  const child = spawn(findTool('systemd-socket-activate'), [...listen, ...flags, '--', ...program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  stack.defer(() => void child.kill('SIGKILL'));
  const said = { stdout: '', stderr: '' };
  for (const where of ['stdout', 'stderr'] as const) {
    child[where].setEncoding('utf8').on('data', (text: string) => {
      said[where] += text;
    });
  }
  await eventually('systemd listens', () => said.stderr.split('Listening on').length > places.length);
  return { child, said };
}

/** Status and, where it redirects, where to. */
async function ask(url: string, ...flags: string[]): Promise<string> {
  const args = ['-sk', '--noproxy', '*', '--max-time', '60', '-o', '/dev/null', '-w', '%{http_code} %{redirect_url}'];
  return (await runTool('curl', [...args, ...flags, url])).stdout.trim();
}

describe('a server with sockets of systemd', { skip }, () => {
  it('serves at each by its name', async () => {
    await using stack = new AsyncDisposableStack();
    const [one, two, three] = [await steadyPort(), await steadyPort(), await steadyPort()];
    const listen = '["systemd:https", { address: "systemd:proxied", proxyProtocol: "127.0.0.1" }]';
    const files = file(listen, 'redirect: "systemd:http",');
    await withFolder(files, async (folder) => {
      const names = ['--fdname=https:proxied:http'];
      const { child, said } = await activate(folder, [one, two, three], names, stack);
      assert.equal(await ask(`https://127.0.0.1:${one}/`), '404');
      assert.equal(await ask(`https://127.0.0.1:${two}/`, '--haproxy-protocol'), '404');
      assert.equal(await ask(`https://127.0.0.1:${two}/`), '000');
      assert.equal(await ask(`http://127.0.0.1:${three}/x`), `308 https://127.0.0.1:${one}/x`);
      assert.match(said.stdout, /listening on 127\.0\.0\.1:\d+ \(front door\)/);
      child.kill('SIGTERM');
      const [code] = await within('the end', once(child, 'exit'));
      assert.equal(code, 0);
    });
  });

  it('serves at a Unix socket, whose file it leaves to systemd', async () => {
    await using stack = new AsyncDisposableStack();
    await withFolder(file('["systemd:local", "unix:own.sock"]'), async (folder) => {
      const [path, own] = [`${folder}/door.sock`, `${folder}/own.sock`];
      const { child, said } = await activate(folder, [path], ['--fdname=local'], stack);
      for (const door of [path, own]) assert.equal(await ask('https://www.example.com/', '--unix-socket', door), '404');
      assert.match(said.stdout, new RegExp(`listening on unix:${path} \\(front door\\)`));
      child.kill('SIGTERM');
      const [code] = await within('the end', once(child, 'exit'));
      assert.deepEqual([code, existsSync(path), existsSync(own)], [0, true, false]);
    });
  });

  it('serves at fd 0, as inetd hands it over, with standard output gone', async () => {
    await using stack = new AsyncDisposableStack();
    const port = await steadyPort();
    await withFolder(file('"fd:0"'), async (folder) => {
      const { child } = await activate(folder, [port], ['--inetd'], stack);
      assert.equal(await ask(`https://127.0.0.1:${port}/`), '404');
      assert.equal(await ask(`https://127.0.0.1:${port}/`), '404');
      child.kill('SIGTERM');
      const [code] = await within('the end', once(child, 'exit'));
      assert.equal(code, 0);
    });
  });

  it('says which names there are where one is missing, exit 3', async () => {
    await using stack = new AsyncDisposableStack();
    const port = await steadyPort();
    await withFolder(file('"systemd:https"'), async (folder) => {
      const { child, said } = await activate(folder, [port], ['--fdname=web'], stack);
      net.connect(port, '127.0.0.1').on('error', () => {});
      const [code] = await within('the end', once(child, 'exit'));
      assert.equal(code, 3);
      assert.match(said.stderr, /cannot listen: systemd:https: no socket of that name .*handed over: web \(fd 3\)/);
    });
  });
});

describe('a server without the socket that it is to listen at', () => {
  for (const [address, message] of [
    ['systemd:https', /systemd:https: no socket of that name was handed over; handed over: none at all/],
    ['fd:1234', /fd:1234: no such descriptor was handed over/],
    ['fd:0', /fd:0: it is no socket but \/dev\/null/],
  ] as const) {
    it(`says so and exits with 3: ${address}`, async () => {
      await withFolder(file(`"${address}"`), async (folder) => {
        const { code, stderr } = await runCli(['server', '-c', `${folder}/server.json5`]);
        assert.equal(code, 3);
        assert.match(stderr, message);
      });
    });
  }
});
