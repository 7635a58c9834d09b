import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadServer } from '../../src/config/load-server.ts';
import { testCertificate } from '../support/certificates.ts';
import { withFolder } from '../support/with-folder.ts';

/** What becomes of `listen`; relative to the folder. */
async function listen(text: string, more = '') {
  const files = { 'server.json5': `{ listen: ${text}, ${more} }`, 'domains/.keep': '' };
  return withFolder(files, async (folder) => {
    const loaded = await loadServer(`${folder}/server.json5`);
    return { loaded, folder };
  });
}

async function understood(text: string) {
  const { loaded } = await listen(text);
  assert.ok(loaded.ok, JSON.stringify(!loaded.ok && loaded.problems));
  return loaded.config.options.listen;
}

async function problem(text: string, more = ''): Promise<string> {
  const { loaded } = await listen(text, more);
  assert.ok(!loaded.ok, text);
  return loaded.problems.map(({ key, message }) => `${key}: ${message}`).join('\n');
}

describe('`listen` of a server', () => {
  it('takes sockets that are handed over', async () => {
    assert.deepEqual(await understood('["systemd:https", "fd:3", "fd:0"]'), [
      { systemd: 'https' },
      { fd: 3 },
      { fd: 0 },
    ]);
  });

  it('takes an object for what is more to be said', async () => {
    const { certFile, keyFile } = testCertificate();
    const certificates = JSON.stringify([{ hosts: ['*'], cert: certFile, key: keyFile }]);
    const proxied = '{ address: "127.0.0.1:1", proxyProtocol: ["10.0.0.0/8", "::1"] }';
    const [first, second, ...more] = await understood(
      `[{ address: ["127.0.0.1:2", "fd:7"], certificates: ${certificates} }, ${proxied}]`,
    );
    assert.ok(first !== undefined && 'certificates' in first && first.certificates?.[0]?.hosts[0] === '*');
    assert.deepEqual(second, { address: { fd: 7 }, certificates: first.certificates });
    assert.deepEqual(more, [
      {
        address: { host: '127.0.0.1', port: 1 },
        proxyProtocol: [
          { address: '10.0.0.0', prefix: 8 },
          { address: '::1', prefix: 128 },
        ],
      },
    ]);
  });

  it('takes mode and owner of a Unix socket, by name and by number', async () => {
    const [root] = await understood('{ address: "unix:/run/b.sock", mode: "0660", owner: "root:root" }');
    assert.deepEqual(root, { address: { path: '/run/b.sock' }, mode: 0o660, owner: { uid: 0, gid: 0 } });
    const [group] = await understood('{ address: "unix:/run/b.sock", mode: "600", owner: ":1234" }');
    assert.deepEqual(group, { address: { path: '/run/b.sock' }, mode: 0o600, owner: { uid: null, gid: 1234 } });
  });

  for (const [what, text, message] of [
    ['a descriptor that is no number', '"fd:x"', /listen: found "fd:x"; allowed: .*"fd:3"/],
    ['a negative one', '"fd:-1"', /found "fd:-1"/],
    ['a socket without a name', '"systemd:"', /found "systemd:"/],
    ['a name with a colon', '"systemd:a:b"', /found "systemd:a:b"/],
    ['an empty list', '[]', /listen: found an empty list/],
    ['an object without address', '{ mode: "0660" }', /listen.address: found nothing; the key is needed/],
    ['an unknown key', '{ address: 1, adress: 2 }', /adress: unknown key; did you mean `address`/],
    ['a decimal mode', '{ address: "unix:/x", mode: 660 }', /mode: found 660; allowed: an octal number such as "0660"/],
    ['a mode beyond octal', '{ address: "unix:/x", mode: "0680" }', /mode: found "0680"/],
    [
      'a mode of a TCP listener',
      '{ address: 443, mode: "0660" }',
      /mode: found beside an address that is no Unix socket/,
    ],
    ['an unknown owner', '{ address: "unix:/x", owner: "nobody-of-this-name" }', /owner: found the user "nobody-of-/],
    ['an unknown group', '{ address: "unix:/x", owner: "root:nobody-of-this-name" }', /owner: found the group/],
    ['an owner of three parts', '{ address: "unix:/x", owner: "a:b:c" }', /owner: found "a:b:c"/],
    ['no proxies', '{ address: 443, proxyProtocol: [] }', /proxyProtocol: found an empty list/],
    ['a proxy that is no network', '{ address: 443, proxyProtocol: true }', /proxyProtocol.*: found true/],
    ['the same socket twice', '["fd:3", { address: "fd:3" }]', /fd:3 is taken by the front door/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      assert.match(await problem(text), message);
    });
  }

  it('shares no socket with `redirect`', async () => {
    assert.match(await problem('"systemd:a"', 'redirect: "systemd:a"'), /systemd:a is taken by the front door/);
  });
});
