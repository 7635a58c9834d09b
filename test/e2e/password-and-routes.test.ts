import assert from 'node:assert/strict';
import * as http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { withConfigDeployment } from '../support/config-deployment.ts';
import { visit } from '../support/curl.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { missingTools } from '../support/tools.ts';

const DOMAIN = 'www.example.com';

/** A service that says its name, and what of a request reached it. */
async function startService(name: string, stack: AsyncDisposableStack): Promise<number> {
  const server = http.createServer(({ url, headers }, response) =>
    response.end(`${name} ${url} login:${headers.authorization ?? 'none'}`),
  );
  stack.defer(closerOf(server));
  return listenOn(server);
}

test('a site behind a password, with two routes by path, served by two instances: as a user sets it up, one step after the other', {
  skip: missingTools('curl'),
}, async () => {
  await using stack = new AsyncDisposableStack();
  const [files, api, other] = [
    await startService('files', stack),
    await startService('api', stack),
    await startService('other', stack),
  ];
  await withConfigDeployment(files, async ({ folder, port, change, write, serverDomain, agentDomain }) => {
    const hashed = await runCli(['password', 'open sesame and more']);
    assert.equal(hashed.code, 0, hashed.stderr);
    const clients = { credentials: [`visitor:${hashed.stdout.trim()}`], banner: 'Acme' };
    await change(`server/domains/${DOMAIN}.json5`, serverDomain({ clients }));
    const routes = (files: number) => [
      { name: 'api', path: '^/api/', rewrite: '/', target: `http://127.0.0.1:${api}` },
      { name: 'files', target: `http://127.0.0.1:${files}` },
    ];
    await change(`agent/domains/${DOMAIN}.json5`, agentDomain({ targets: routes(files) }));

    const ca = ['--cacert', testAuthority().certFile];
    const refused = await visit(DOMAIN, port, '/', [...ca, '-D', '-', '-o', '/dev/null']);
    assert.match(refused, /^HTTP\/\S+ 401[\s\S]*www-authenticate: Basic realm="Acme"/i);
    const ask = (path: string) => visit(DOMAIN, port, path, [...ca, '-u', 'visitor:open sesame and more']);
    assert.equal(await ask('/index.html'), 'files /index.html login:none');
    assert.equal(await ask('/api/users?all=1'), 'api /users?all=1 login:none');

    write('second/agent.json5', {});
    write(`second/domains/${DOMAIN}.json5`, agentDomain({ instance: 'two', targets: routes(other) }));
    const second = startCli(['agent', '-c', join(folder, 'second/agent.json5')]);
    try {
      await second.see(/"event":"tunnel-opened".*"live":2/);
      const seen = new Set<string>();
      for (let i = 0; i < 20 && seen.size < 2; i += 1) seen.add(await ask('/'));
      assert.deepEqual([...seen].sort(), ['files / login:none', 'other / login:none']);
      assert.equal(await ask('/api/'), 'api / login:none');
    } finally {
      await second.end('SIGTERM');
    }
    for (let i = 0; i < 4; i += 1) assert.equal(await ask('/'), 'files / login:none');
  });
});
