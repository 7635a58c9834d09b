import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadServer } from '../../src/config/load-server.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { testAuthority } from '../support/certificates.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';

async function load(files: FolderFiles) {
  return withFolder(files, async (folder) => {
    const result = await loadServer(`${folder}/server.json5`, { stateDirectory: '/s' });
    const problems = result.ok ? [] : result.problems.map((one) => formatProblem(one).replaceAll(folder, '.'));
    return { problems, options: result.ok ? result.config.options : null, folder };
  });
}

async function domain(text: string) {
  const { problems, options, folder } = await load({ 'server.json5': '{}', 'domains/a.example.json5': text });
  return { problems: problems.map((one) => one.replace('./domains/a.example.json5:', '')), options, folder };
}

describe('`target` of a domain', () => {
  it('is an address in the clear, and takes the place of a secret', async () => {
    for (const [given, target] of [
      ['"http://127.0.0.1:3000"', { host: '127.0.0.1', port: 3000 }],
      ['"tcp://[::1]:5432"', { host: '::1', port: 5432 }],
      ['"app:80"', { host: 'app', port: 80 }],
      ['3000', { host: 'localhost', port: 3000 }],
      ['"unix:/run/app.sock"', { path: '/run/app.sock' }],
    ] as const) {
      const { problems, options } = await domain(
        `{ active: true, target: ${given}, proxyProtocol: 2, tls: "passthrough" }`,
      );
      assert.deepEqual(problems, []);
      const [only] = options?.domains ?? [];
      assert.deepEqual([only?.target, only?.proxyProtocol, only?.tls], [target, 2, 'passthrough']);
    }
    const { options, folder } = await domain('{ active: true, target: "unix:app.sock" }');
    assert.deepEqual(options?.domains[0]?.target, { path: `${folder}/domains/app.sock` });
  });

  it('is refused where it is none, with its place and what is allowed', async () => {
    const allowed = 'allowed: "http://host:port", "tcp://host:port", "unix:/path", "host:port" or a port';
    const cases: readonly (readonly [string, string])[] = [
      ['"https://127.0.0.1"', `found "https://127.0.0.1"; ${allowed}; TLS reaches it with \`tls: "passthrough"\``],
      ['"http://127.0.0.1/path"', `found "http://127.0.0.1/path"; ${allowed}`],
      ['["a:1"]', `found a list; ${allowed}`],
      ['"tcp://127.0.0.1"', `found "tcp://127.0.0.1"; ${allowed}`],
    ];
    for (const [given, message] of cases)
      assert.deepEqual((await domain(`{ active: true, target: ${given} }`)).problems, [`1:25: target: ${message}`]);
  });

  it('is needed by `proxyProtocol`, and one of the two by a domain that is active', async () => {
    const { problems } = await domain(`{ active: true, secret: "${SECRET}", proxyProtocol: 1 }`);
    assert.deepEqual(problems, [
      '1:75: proxyProtocol: found without a `target`, which alone is told by it; allowed: null',
    ]);
    assert.deepEqual((await domain('{ active: true, target: null }')).problems, [
      '1:1: secret: found none; an active domain needs one, or `certificates`, or a `target`: nobody could serve it',
    ]);
    assert.deepEqual((await domain('{ active: true, target: 1, proxyProtocol: 3 }')).problems, [
      '1:43: proxyProtocol: found 3; allowed: 1, 2 or null',
    ]);
  });
});

describe('passthrough', () => {
  it('cannot ask for what only HTTP, or the end of TLS, can', async () => {
    const given = { credentials: 'a:b-long-enough', certificates: testAuthority().certFile };
    for (const [key, value] of Object.entries(given)) {
      const clients = `clients: { ${key}: "${value}" }`;
      const { problems } = await domain(`{ active: true, target: 1, tls: "passthrough", ${clients} }`);
      const message = 'found beside `tls: "passthrough"`, where it cannot be asked for; allowed: one of the two';
      assert.deepEqual(problems, [`1:${61 + key.length}: clients.${key}: ${message}`]);
    }
    assert.deepEqual((await domain('{ active: true, target: 1, tls: "passthru" }')).problems, [
      '1:33: tls: found "passthru"; allowed: "terminate", "passthrough"',
    ]);
  });
});

describe('`sni`', () => {
  it('names a folder, relative to the file', async () => {
    const { options, folder } = await load({
      'server.json5': '{ sni: { hosts: "hosts", hashed: true } }',
      'hosts/.keep': '',
      'domains/.keep': '',
    });
    assert.deepEqual(options?.sni, { hosts: `${folder}/hosts`, hashed: true });
  });

  it('is refused where there is no folder, or no name of one', async () => {
    const at = async (sni: string) => (await load({ 'server.json5': `{ sni: ${sni} }`, 'domains/.keep': '' })).problems;
    assert.deepEqual(await at('{ hosts: "hosts" }'), [
      './server.json5:1:17: sni.hosts: the folder of hosts ./hosts does not exist',
    ]);
    assert.deepEqual(await at('{ hosts: "server.json5" }'), [
      './server.json5:1:17: sni.hosts: the folder of hosts ./server.json5 is no folder',
    ]);
    assert.deepEqual(await at('{ hashed: true }'), ['./server.json5:1:8: sni.hosts: found nothing; the key is needed']);
    assert.deepEqual(await at('"hosts"'), [
      './server.json5:1:8: sni: found "hosts"; allowed: an object with the keys hosts, hashed',
    ]);
  });
});
