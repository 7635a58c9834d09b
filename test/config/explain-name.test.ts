import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainName } from '../../src/config/explain-name.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';
const FILES = {
  'server.json5': `{
  listen: 443,
  proxy: { listen: "127.0.0.1:8080" },
  grants: [
    { identity: "ci", secret: "${SECRET}",
      domains: ["*.dev.test", "www.test", "*.inact.test", "off.test"],
      connect: ["db.test:5432"] },
    { identity: "ops", certificate: "*.ops.test", connect: "*" },
  ],
}`,
  'domains/www.test.json5': `{
  active: true, secret: "${SECRET}",
  networks: "10.0.0.0/8",
  grants: {
    connect: "db.test",
  },
  clients: { networks: "192.0.2.0/24", credentials: "user:password" },
}`,
  'domains/db.test.json5': `{ active: true, secret: "${SECRET}", listen: 5432 }`,
  'domains/off.test.json5': '{}',
  'domains/_.inact.test.json5': '{}',
  'domains/_.wild.test.json5': `{ active: true, secret: "${SECRET}" }`,
};

describe('an explanation of who may claim and reach a name', () => {
  const explained = (name: string, port: number | null = null) =>
    withFolder(FILES, async (folder) => {
      const file = `${folder}/server.json5`;
      const result = await loadServer(file);
      assert.ok(result.ok);
      const lines = await explainName(file, result.config.options, { name, port });
      return lines.map((text) => text.replaceAll(`${folder}/`, ''));
    });

  it('names each, with the line that says so', async () => {
    assert.deepEqual(await explained('www.test'), [
      'www.test: ruled by domains/www.test.json5',
      'www.test may be claimed by',
      '  whoever shows the secret of www.test  (domains/www.test.json5:2:25)',
      '  identity ci: "www.test"  (server.json5:6:31)',
      '  all of them only from its networks  (domains/www.test.json5:3:13)',
      'www.test may be reached by',
      '  visitors of the front door, by HTTPS  (server.json5:2:11)',
      '  programs of this machine, by the proxy  (server.json5:3:10)',
      '  identity ops: "*"  (server.json5:8:60)',
      'for all of them',
      '  only from its networks  (domains/www.test.json5:7:24)',
      '  only with a login (HTTP; no byte stream to ports 80 and 443)  (domains/www.test.json5:7:53)',
    ]);
  });

  it('follows ports, instances, wildcards and grants without a file', async () => {
    assert.deepEqual((await explained('db.test', 5_432)).slice(3), [
      'db.test:5432 may be reached by',
      '  visitors of TCP port 5432 at 0.0.0.0  (domains/db.test.json5:1:68)',
      '  visitors of TCP port 5432 at ::  (domains/db.test.json5:1:68)',
      '  programs of this machine, by the proxy  (server.json5:3:10)',
      '  identity ci: "db.test:5432"  (server.json5:7:17)',
      '  identity ops: "*"  (server.json5:8:60)',
      '  whoever serves www.test: "db.test"  (domains/www.test.json5:5:14)',
    ]);
    assert.deepEqual(await explained('one.db.test', 5_432), [
      'one.db.test: ruled by domains/db.test.json5',
      '  an instance of db.test',
      'db.test may be claimed by',
      '  whoever shows the secret of db.test  (domains/db.test.json5:1:25)',
      'one.db.test:5432 may be reached by',
      '  programs of this machine, by the proxy  (server.json5:3:10)',
      '  identity ci: "db.test:5432"  (server.json5:7:17)',
      '  identity ops: "*"  (server.json5:8:60)',
      '  whoever serves www.test: "db.test"  (domains/www.test.json5:5:14)',
    ]);
    assert.deepEqual((await explained('any.wild.test')).slice(0, 3), [
      'any.wild.test: ruled by domains/_.wild.test.json5',
      'any.wild.test may be claimed by',
      '  whoever shows the secret of *.wild.test  (domains/_.wild.test.json5:1:25)',
    ]);
    assert.deepEqual((await explained('a.dev.test')).slice(0, 3), [
      'a.dev.test: ruled by the defaults: it has no file',
      'a.dev.test may be claimed by',
      '  identity ci: "*.dev.test"  (server.json5:6:17)',
    ]);
    assert.deepEqual((await explained('one.any.wild.test')).slice(0, 2), [
      'one.any.wild.test: ruled by domains/_.wild.test.json5',
      '  an instance of any.wild.test',
    ]);
    assert.deepEqual((await explained('one.b.dev.test')).slice(0, 3), [
      'one.b.dev.test: ruled by the defaults: it has no file',
      '  an instance of b.dev.test',
      'b.dev.test may be claimed by',
    ]);
  });

  it('says why nobody may', async () => {
    assert.deepEqual(await explained('off.test'), [
      'off.test: not active; nobody may claim or reach it',
      '  `active`  (domains/off.test.json5:1:1)',
    ]);
    assert.deepEqual(await explained('x.inact.test'), [
      'x.inact.test: not active; nobody may claim or reach it',
      '  `active`  (domains/_.inact.test.json5:1:1)',
    ]);
    assert.deepEqual(await explained('one.off.test'), [
      'one.off.test: no file covers it and no grant names it; nobody may claim or reach it',
    ]);
    assert.deepEqual(await explained('no.such.test'), [
      'no.such.test: no file covers it and no grant names it; nobody may claim or reach it',
    ]);
  });

  it('is printed by `backdial check --explain`', () =>
    withFolder({ ...FILES, agent: '{}' }, async (folder) => {
      const check = (...args: string[]) => runCli(['check', '-c', ...args]);
      const [good, bad, agent] = await Promise.all([
        check(`${folder}/server.json5`, '--explain', 'DB.test:5432'),
        check(`${folder}/server.json5`, '--explain', 'a b'),
        check(`${folder}/agent`, '--kind', 'agent', '--explain', 'db.test'),
      ]);
      assert.equal(good.code, 0, good.stderr);
      assert.match(good.stdout, /^db\.test: ruled by .*\ndb\.test may be claimed by\n/);
      assert.equal(bad.code, 1);
      assert.match(bad.stderr, /the name "a b"; allowed/);
      assert.equal(agent.code, 1);
      assert.match(agent.stderr, /is an agent's; who may what is in a server's/);
    }));
});
