import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { issueCertificate, TEST_NAMES, testAuthority } from '../support/certificates.ts';
import { type ConfigDeployment, withConfigDeployment } from '../support/config-deployment.ts';
import { Inbox } from '../support/inbox.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { runCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { eventually, within } from '../support/within.ts';

const SERVER = 'server/server.json5';
const SERVER_DOMAIN = 'server/domains/www.example.com.json5';
const AGENT_DOMAIN = 'agent/domains/www.example.com.json5';

async function deployed(body: (deployment: ConfigDeployment) => Promise<void>): Promise<void> {
  const target = http.createServer((_request, response) => response.end('the target'));
  const close = closerOf(target);
  try {
    await withConfigDeployment(await listenOn(target), body);
  } finally {
    await close();
  }
}

const connect = (port: number) =>
  tls.connect({ port, host: '127.0.0.1', servername: 'www.example.com', ca: testAuthority().cert });

/** The status that a request gets. */
async function status({ port }: ConfigDeployment, socket = connect(port)): Promise<string> {
  const inbox = new Inbox(socket);
  socket.write('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
  await within(
    'an answer',
    eventually('a status line', () => inbox.text.includes('\r\n')),
  );
  return inbox.text.slice(9, 12);
}

/** The fingerprint of the certificate that `openssl s_client` is shown. */
async function shownTo(port: number): Promise<string> {
  const openssl = findTool('openssl');
  const where = ['-connect', `127.0.0.1:${port}`, '-servername', 'www.example.com'];
  const shown = await promisify(execFile)('sh', ['-c', `"$0" s_client "$@" </dev/null`, openssl, ...where]).catch(
    ({ stdout }: { stdout: string }) => ({ stdout }),
  );
  return /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(shown.stdout)?.[0] ?? '';
}

describe('a program follows its files', { concurrency: 3 }, () => {
  test('what is invalid is said once, with its place; the old stays in force, and what is put right is taken', () =>
    deployed(async (deployment) => {
      const { server, agent, write, change, events, serverDomain, agentDomain } = deployment;
      write(SERVER_DOMAIN, '{\n  active: true,\n  secrt: "x",\n}');
      await server.see(/domains\/www\.example\.com\.json5:3:3: secrt: unknown key; did you mean `secret`\?/);
      await server.see(/what was in force before stays/);
      write(AGENT_DOMAIN, '{ active: true,');
      await agent.see(/domains\/www\.example\.com\.json5:1:16: not valid JSON5/);
      // Another file changes while this one is still wrong: nothing is half applied.
      write(SERVER, deployment.serverFile({ unavailable: 410 }));
      assert.equal(await status(deployment), '200');
      // An agent looks at its files as a server does: it says what is new when the server, whose file was written before, said it.
      write(AGENT_DOMAIN, '{\n  active: true,');
      await agent.see(/domains\/www\.example\.com\.json5:2:16: not valid JSON5/);
      assert.equal(events(server, 'config-refused').length, 1);
      assert.equal(events(server, 'config-changed').length, 0);
      assert.equal(await status(deployment), '200');
      await change(SERVER_DOMAIN, serverDomain({ concurrency: 7 }));
      await change(AGENT_DOMAIN, agentDomain({ concurrency: 7 }));
      assert.deepEqual(
        events(server, 'config-changed').map(({ msg }) => msg),
        ['configuration: unavailable changed', 'configuration: domain www.example.com changed: concurrency'],
      );
      assert.equal(events(server, 'config-valid').length, 1);
      assert.equal(await status(deployment), '200');
    }));

  test('a domain that goes is not served, one that is put back is', () =>
    deployed(async (deployment) => {
      const { folder, server } = deployment;
      const file = join(folder, SERVER_DOMAIN);
      renameSync(file, join(folder, 'aside'));
      await server.see(/"domain":"www\.example\.com","action":"removed"/);
      await server.see(/"event":"tunnel-closed".*"reason":"removed"/);
      assert.equal(await status(deployment), '404');
      renameSync(join(folder, 'aside'), file);
      await server.see(/"domain":"www\.example\.com","action":"added"/);
      await eventually('the agent is back', () => deployment.events(server, 'tunnel-opened').length > 2);
      assert.equal(await status(deployment), '200');
      rmSync(join(folder, AGENT_DOMAIN));
      await deployment.agent.see(/"domain":"www\.example\.com","action":"removed"/);
      await eventually('the tunnels are gone', () => {
        const { server: program } = deployment;
        return (
          deployment.events(program, 'tunnel-closed').length === deployment.events(program, 'tunnel-opened').length
        );
      });
      assert.equal(await status(deployment), '404');
    }));

  test(
    'a renewed certificate is shown to who comes next, while who is connected goes on',
    { skip: missingTools('openssl') },
    () =>
      deployed(async (deployment) => {
        const { folder, port, server, write } = deployment;
        const [first, renewed] = [issueCertificate(TEST_NAMES), issueCertificate(TEST_NAMES)];
        // As certbot leaves them: links that a renewal points elsewhere.
        write('live/cert.pem', first.cert);
        write('live/key.pem', first.key);
        await deployment.change(
          SERVER,
          deployment.serverFile({ certificates: [{ hosts: ['*'], cert: '../live/cert.pem', key: '../live/key.pem' }] }),
        );
        const before = connect(port);
        assert.equal(await status(deployment, before), '200');
        assert.equal(await shownTo(port), first.cert.trim());
        // The pair is never half new: with the key of another certificate the old one stays.
        writeFileSync(join(folder, 'live/cert.pem'), renewed.cert);
        await server.see(/key file .*key\.pem does not match the certificate/);
        assert.equal(await shownTo(port), first.cert.trim());
        write('live/key.pem', renewed.key);
        await eventually('the change', () => deployment.events(server, 'config-applied').length === 2);
        assert.equal(await shownTo(port), renewed.cert.trim());
        assert.equal(await status(deployment, before), '200');
        before.destroy();
      }),
  );

  test('SIGHUP says at once what is wrong, and what takes a restart', () =>
    deployed(async (deployment) => {
      const { server, write } = deployment;
      write(SERVER, deployment.serverFile({ name: 'other', state: 'elsewhere' }));
      server.child.kill('SIGHUP');
      await server.see(/restart required: name/);
      await server.see(/restart required: state/);
      write(SERVER, '{');
      server.child.kill('SIGHUP');
      await server.see(/server\.json5:1:2: not valid JSON5/);
      server.child.kill('SIGHUP');
      await eventually('each time that it is asked', () => deployment.events(server, 'config-problem').length > 1);
      assert.equal(server.child.exitCode, null);
      assert.equal(await status(deployment), '200');
    }));

  test('the logs follow too, and so does what an agent reads of its streams', () =>
    deployed(async (deployment) => {
      const { agent, server, change } = deployment;
      await change('agent/agent.json5', { log: { level: 'debug', access: 'console' } });
      assert.equal(await status(deployment), '200');
      await agent.see(/"method":"GET"/);
      await deployment.change(SERVER, deployment.serverFile({ log: { level: 'debug', access: 'console' } }));
      assert.equal(await status(deployment), '200');
      await server.see(/"status":200/);
    }));

  test('`domain add` is all that a server that runs needs', () =>
    deployed(async ({ folder, server }) => {
      const added = await runCli(['domain', 'add', 'new.example.com', '-c', join(folder, SERVER)]);
      assert.equal(added.code, 0);
      assert.match(added.stderr, /a server that runs already picks it up/);
      await server.see(/"domain":"new\.example\.com","action":"added"/);
    }));

  test('a drain is not disturbed by changes, and ends', () =>
    deployed(async (deployment) => {
      const { server, write } = deployment;
      const socket = connect(deployment.port);
      await once(socket, 'secureConnect');
      server.child.kill('SIGTERM');
      write(SERVER_DOMAIN, deployment.serverDomain({ concurrency: 9 }));
      const { code, stdout } = await server.end();
      assert.equal(code, 0);
      assert.doesNotMatch(stdout, /"event":"config-changed"/);
    }));
});
