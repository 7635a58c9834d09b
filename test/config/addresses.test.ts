import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseListen, parseRemote, parseTcpListen } from '../../src/config/addresses.ts';
import { parseTarget } from '../../src/config/target.ts';

describe('addresses to listen at', () => {
  it('are host and port, a port on every address, or a socket beside the file', () => {
    assert.deepEqual(parseListen('0.0.0.0:443', '/etc'), [{ host: '0.0.0.0', port: 443 }]);
    assert.deepEqual(parseListen('[::1]:443', '/etc'), [{ host: '::1', port: 443 }]);
    assert.deepEqual(parseListen('LOCALHOST:0', '/etc'), [{ host: 'localhost', port: 0 }]);
    assert.deepEqual(parseListen(8443, '/etc'), [
      { host: '0.0.0.0', port: 8443 },
      { host: '::', port: 8443 },
    ]);
    assert.deepEqual(parseListen('unix:/run/b.sock', '/etc'), [{ path: '/run/b.sock' }]);
    assert.deepEqual(parseListen('unix:run/b.sock', '/etc/x'), [{ path: '/etc/x/run/b.sock' }]);
  });

  it('are refused when they are anything else', () => {
    const bad = [
      '443',
      ':443',
      '*:443',
      'a_b:1',
      '1.2.3:80',
      '256.1.1.1:80',
      '::1:443',
      '[1.2.3.4]:1',
      'systemd:x',
      'fd:3',
    ];
    for (const text of [...bad, 'unix:', `unix:/${'x'.repeat(120)}`, 0, 65_536, 1.5, null, {}, ['a:1']]) {
      assert.equal(parseListen(text, '/'), null, String(text));
    }
    assert.equal(parseTcpListen('unix:/run/b.sock'), null);
  });
});

describe('servers to dial', () => {
  it('have port 443 unless they name one', () => {
    assert.equal(parseRemote('www.example.com'), 'www.example.com:443');
    assert.equal(parseRemote('WWW.Example.com.:8443'), 'www.example.com:8443');
    assert.equal(parseRemote('faß.de'), 'xn--fa-hia.de:443');
    assert.equal(parseRemote('2001:db8::1'), '[2001:db8::1]:443');
    assert.equal(parseRemote('[2001:db8::1]:1'), '[2001:db8::1]:1');
    assert.equal(parseRemote('203.0.113.7'), '203.0.113.7:443');
    for (const bad of ['', 'a:0', 'a:b', 'https://a', 'a/b', '*.a', '300.1.1.1', 443, null]) {
      assert.equal(parseRemote(bad), null, String(bad));
    }
  });
});

describe('targets', () => {
  it('are a URL, host and port, a socket or a port', () => {
    const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });
    const targets: readonly (readonly [unknown, object])[] = [
      [3000, tcp('localhost', 3000)],
      ['3000', tcp('localhost', 3000)],
      ['db.lan:5432', tcp('db.lan', 5432)],
      ['my_service:80', tcp('my_service', 80)],
      ['[::1]:5432', tcp('::1', 5432)],
      ['http://127.0.0.1:3000', { ...tcp('127.0.0.1', 3000), http: true }],
      ['http://127.0.0.1/', { ...tcp('127.0.0.1', 80), http: true }],
      ['tcp://db.lan:5432', tcp('db.lan', 5432)],
      ['tcp://[::1]:5432', tcp('::1', 5432)],
      ['https://nas.lan', { kind: 'https', host: 'nas.lan', port: 443 }],
      ['https://[::1]:8443', { kind: 'https', host: '::1', port: 8443 }],
      ['[fe80::1%eth0]:22', tcp('fe80::1%eth0', 22)],
      ['tcp://[fe80::1%eth0]:22', tcp('fe80::1%eth0', 22)],
      ['http://[FE80::1%25Eth0.5]', { ...tcp('fe80::1%Eth0.5', 80), http: true }],
      ['https://[fe80::1%2]', { kind: 'https', host: 'fe80::1%2', port: 443 }],
      ['tcp://[fe80::1%25]:22', tcp('fe80::1%25', 22)],
      ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
      ['unix:app.sock', { kind: 'unix', path: '/srv/app.sock' }],
    ];
    for (const [given, target] of targets) assert.deepEqual(parseTarget(given, '/srv'), target, String(given));
  });

  it('have no path, user or unknown scheme', () => {
    const bad = [
      'http://a/b',
      'http://a?x',
      'http://u:p@a',
      'http://u@a',
      'ftp://a',
      'tcp://a',
      'a',
      '',
      'unix:',
      'http://',
      'http://a /',
      'http://a\tb:1',
      'http://a%25b',
      'http://[fe80::1%]',
      'http://[fe80::1%eth0]/x',
      `http://${'a'.repeat(255)}`,
    ];
    for (const given of [...bad, 'a:0', 'https://a:0', 0, 65_536, -1, 1.5, null, {}, 'http://a#b', 'a b:1']) {
      assert.equal(parseTarget(given, '/srv'), null, String(given));
    }
  });
});
