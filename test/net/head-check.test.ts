import assert from 'node:assert/strict';
import test from 'node:test';
import { checkHttp1Head, checkHttp2Head, MAX_HEADER_LINES, type RequestHead } from '../../src/net/head-check.ts';
import { HeaderRules } from '../../src/net/header-rules.ts';

const RULES = new HeaderRules({ drop: ['x-secret'], dropPrefixes: ['backdial-'], dropUnderscore: true });

function http1(url: string, rawHeaders: string[], method = 'GET', httpVersion = '1.1'): RequestHead | string {
  return checkHttp1Head({ method, url, httpVersion, rawHeaders }, RULES);
}

function accepted(head: RequestHead | string): RequestHead {
  assert.ok(typeof head !== 'string', `refused: ${String(head)}`);
  return head;
}

const HOST = ['Host', 'www.example.com'];

test('a head that keeps every rule passes with names, values and order as they are', () => {
  const raw = [
    'hOsT',
    'WWW.Example.com.:8443',
    'X-B',
    ' two ',
    'x-a',
    '1',
    'X-B',
    '\tthree',
    'Cookie',
    'a=1',
    'Cookie',
    'b',
  ];
  const head = accepted(http1('//a/%2525/../b;c?d=%', raw));
  assert.deepEqual(head.headers, raw);
  assert.equal(head.target, '//a/%2525/../b;c?d=%');
  assert.equal(head.host, 'www.example.com');
  assert.equal(head.port, 8443);
  assert.equal(head.authority, 'WWW.Example.com.:8443');
  assert.equal(head.framing, 'none');
});

for (const [what, host] of [
  ['none', []],
  ['two', [...HOST, ...HOST]],
  ['an empty one', ['Host', '']],
  ['a list', ['Host', 'a.example.com, b.example.com']],
  ['a user', ['Host', 'user@www.example.com']],
  ['a blank', ['Host', 'www.example.com x']],
  ['a path', ['Host', 'www.example.com/x']],
  ['a port that is none', ['Host', 'www.example.com:x']],
  ['an empty port', ['Host', 'www.example.com:']],
  ['port 0', ['Host', 'www.example.com:0']],
  ['port 65536', ['Host', 'www.example.com:65536']],
  ['an IPv6 address', ['Host', '[::1]']],
  ['two trailing dots', ['Host', 'www.example.com..']],
  ['an underscore', ['Host', 'a_b.example.com']],
  ['a letter outside ASCII', ['Host', 'w\xfcrst.example.com']],
  ['a label of 64', ['Host', `${'a'.repeat(64)}.example.com`]],
] as const) {
  test(`Host must be one name: ${what} is refused`, () => {
    assert.equal(http1('/', [...host]), 'request-invalid');
  });
}

test('an absolute-form with the authority of Host and scheme https is taken as origin-form', () => {
  assert.equal(accepted(http1('https://WWW.example.com:443//x?y', HOST)).target, '//x?y');
  assert.equal(accepted(http1('HTTPS://www.example.com', HOST)).target, '/');
  assert.equal(accepted(http1('https://www.example.com?q', HOST)).target, '/?q');
  assert.equal(accepted(http1('https://www.example.com', HOST, 'OPTIONS')).target, '*');
});

for (const url of [
  'http://www.example.com/',
  'https://other.example.com/',
  'https://www.example.com:8443/',
  'https://user@www.example.com/',
  'https:///x',
  'https://www.example.com/#x',
  'ftp://www.example.com/',
  'x',
  '',
  '*',
  '/a#b',
  '/a b',
  '/a\x7f',
  '/\xe4',
  'www.example.com:443',
]) {
  test(`the target ${JSON.stringify(url)} is refused`, () => {
    assert.equal(http1(url, HOST), 'request-invalid');
  });
}

test('the target * is for OPTIONS alone', () => {
  assert.equal(accepted(http1('*', HOST, 'OPTIONS')).target, '*');
});

for (const version of ['2.0', '0.9', '1.2', '3.0']) {
  test(`HTTP/${version} on an HTTP/1 line is refused`, () => {
    assert.equal(http1('/', HOST, 'GET', version), 'request-invalid');
  });
}

for (const method of ['get', 'Get', 'G ET', '', 'GET\t']) {
  test(`the method ${JSON.stringify(method)} is refused`, () => {
    assert.equal(http1('/', HOST, method), 'request-invalid');
  });
}

test('Transfer-Encoding is exactly chunked, alone, and of HTTP/1.1', () => {
  assert.equal(accepted(http1('/', [...HOST, 'Transfer-Encoding', 'chunked'], 'POST')).framing, 'chunked');
  const refused = [
    ['Transfer-Encoding', 'Chunked'],
    ['Transfer-Encoding', 'identity'],
    ['Transfer-Encoding', 'gzip, chunked'],
    ['Transfer-Encoding', 'chunked, chunked'],
    ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
    ['Transfer-Encoding', 'chunked', 'Content-Length', '3'],
    ['Transfer-Encoding', ''],
    ['Transfer-Encoding', 'xchunked'],
  ];
  for (const fields of refused)
    assert.equal(http1('/', [...HOST, ...fields], 'POST'), 'request-invalid', String(fields));
  assert.equal(http1('/', [...HOST, 'Transfer-Encoding', 'chunked'], 'POST', '1.0'), 'request-invalid');
});

test('Content-Length is one number', () => {
  assert.equal(accepted(http1('/', [...HOST, 'Content-Length', '42'], 'POST')).framing, 42);
  for (const value of ['', '+1', '-1', '0x1', '1 2', '1,1', '1e3', '1234567890123456']) {
    assert.equal(http1('/', [...HOST, 'Content-Length', value], 'POST'), 'request-invalid', value);
  }
  assert.equal(http1('/', [...HOST, 'Content-Length', '1', 'Content-Length', '1'], 'POST'), 'request-invalid');
});

test('at most 100 header lines', () => {
  const lines = (count: number): string[] => Array.from({ length: count }, (_, i) => [`X-${i}`, 'v']).flat();
  accepted(http1('/', [...HOST, ...lines(MAX_HEADER_LINES - 1)]));
  assert.equal(http1('/', [...HOST, ...lines(MAX_HEADER_LINES)]), 'headers-too-large');
});

test('control characters in a value and names that are no tokens are refused', () => {
  for (const code of [0, 1, 8, 10, 13, 31, 127]) {
    assert.equal(http1('/', [...HOST, 'X', `a${String.fromCharCode(code)}b`]), 'request-invalid', `code ${code}`);
  }
  for (const name of ['a b', 'a:', '', 'ä', 'a\x00']) {
    assert.equal(http1('/', [...HOST, name, 'v']), 'request-invalid', JSON.stringify(name));
  }
});

test('names with _ and those of the rules are dropped, in any case', () => {
  const raw = [...HOST, 'X_Real', '1', 'BACKDIAL-Domain', 'x', 'x-SECRET', 'y', 'X-Kept', 'z'];
  assert.deepEqual(accepted(http1('/', raw)).headers, [...HOST, 'X-Kept', 'z']);
});

test('hop-by-hop fields and all that Connection names go, Host and framing stay', () => {
  const raw = [
    ...HOST,
    ...['Connection', 'close, X-Mine,Host', 'X-Mine', '1', 'Keep-Alive', 'timeout=5', 'Proxy-Connection', 'x'],
    ...['TE', 'gzip;q=1, trailers', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAA', 'connection', 'Content-Length, x-two'],
    ...['X-Two', '2', 'Content-Length', '3', 'X-Three', '3'],
  ];
  const head = accepted(http1('/', raw, 'POST'));
  assert.deepEqual(head.headers, [...HOST, 'Content-Length', '3', 'X-Three', '3']);
  assert.equal(head.trailers, true);
  assert.equal(head.upgrade, null);
});

test('Upgrade counts where Connection names it', () => {
  const raw = [...HOST, 'Connection', 'keep-alive, Upgrade', 'Upgrade', 'websocket'];
  assert.equal(accepted(http1('/', raw)).upgrade, 'websocket');
  assert.equal(http1('/', [...HOST, 'Connection', 'a b']), 'request-invalid');
});

test('an Upgrade to HTTP/2 is ignored, for nobody would check what comes behind it', () => {
  for (const upgrade of ['h2c', 'H2C', 'websocket, h2c', 'h2c,websocket']) {
    const raw = [...HOST, 'Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', upgrade, 'HTTP2-Settings', 'AAMAAABk'];
    const head = accepted(http1('/', raw));
    assert.equal(head.upgrade, null, upgrade);
    assert.deepEqual(head.headers, HOST);
  }
});

const PSEUDO = [':method', 'GET', ':path', '/x', ':scheme', 'https', ':authority', 'www.example.com:8443'];

test('an HTTP/2 head becomes an HTTP/1.1 one: Host in front, Cookie in one line', () => {
  const head = accepted(checkHttp2Head([...PSEUDO, 'a', '1', 'cookie', 'x=1', 'b', '2', 'cookie', 'y=2'], true, RULES));
  assert.deepEqual(head.headers, ['Host', 'www.example.com:8443', 'a', '1', 'cookie', 'x=1; y=2', 'b', '2']);
  assert.equal(head.framing, 'none');
  assert.equal(head.port, 8443);
  assert.equal(accepted(checkHttp2Head(PSEUDO, false, RULES)).framing, 'chunked');
});

test('the crumbs of one Cookie are one field of the hundred that a head may have', () => {
  const crumbs = Array.from({ length: 180 }, (_, i) => ['cookie', `c${i}=x`]).flat();
  const others = (count: number) => Array.from({ length: count }, (_, i) => [`x-${i}`, '']).flat();
  const head = accepted(checkHttp2Head([...PSEUDO, ...crumbs, ...others(99)], true, RULES));
  assert.match(head.headers[3] ?? '', /^c0=x; c1=x; .*; c179=x$/);
  assert.equal(checkHttp2Head([...PSEUDO, ...crumbs, ...others(100)], true, RULES), 'headers-too-large');
});

test('an HTTP/2 Host must be equal to :authority, and may stand for it', () => {
  const bare = [':method', 'GET', ':path', '/', ':scheme', 'https'];
  assert.equal(accepted(checkHttp2Head([...bare, 'host', 'A.example.com'], true, RULES)).host, 'a.example.com');
  accepted(checkHttp2Head([...PSEUDO, 'host', 'WWW.example.com:8443'], true, RULES));
  assert.equal(checkHttp2Head([...PSEUDO, 'host', 'www.example.com'], true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head([...PSEUDO, 'host', 'x.example.com:8443'], true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head(bare, true, RULES), 'request-invalid');
});

test('HTTP/2: scheme https, a path, known pseudo-header fields, a length that fits', () => {
  const replaced = (name: string, value: string): string[] =>
    PSEUDO.map((text, i) => (PSEUDO[i - 1] === name && i % 2 === 1 ? value : text));
  assert.equal(checkHttp2Head(replaced(':scheme', 'http'), true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head(replaced(':path', ''), true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head(replaced(':path', 'https://www.example.com/'), true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head(replaced(':path', '*'), true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head(replaced(':method', 'get'), true, RULES), 'request-invalid');
  // A token in capitals that no HTTP/1.1 parser of Node's would read, the agent's neither.
  assert.equal(checkHttp2Head(replaced(':method', 'BREW'), true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head(replaced(':method', 'PRI'), true, RULES), 'request-invalid');
  assert.notEqual(typeof checkHttp2Head(replaced(':method', 'PROPFIND'), true, RULES), 'string');
  assert.equal(checkHttp2Head([':weird', 'x', ...PSEUDO], true, RULES), 'request-invalid');
  assert.equal(checkHttp2Head([...PSEUDO, 'content-length', '3'], true, RULES), 'request-invalid');
  assert.equal(accepted(checkHttp2Head([...PSEUDO, 'content-length', '3'], false, RULES)).framing, 3);
});

test('RFC 8441: a CONNECT with :protocol is an upgrade', () => {
  const raw = [':method', 'CONNECT', ':protocol', 'websocket', ...PSEUDO.slice(2)];
  const head = accepted(checkHttp2Head(raw, false, RULES));
  assert.equal(head.upgrade, 'websocket');
  assert.equal(head.framing, 'none');
  assert.equal(head.target, '/x');
});
