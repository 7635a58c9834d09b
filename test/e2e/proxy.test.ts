import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { describe, test } from 'node:test';
import * as tls from 'node:tls';
import { type IdentityOptions, Secret } from '../../src/index.ts';
import { AgentPki } from '../support/agent-pki.ts';
import { testAuthority } from '../support/certificates.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { basic, CI, CI_SECRET, DOMAIN_SECRET, type ProxyKit, withProxy } from '../support/proxy-kit.ts';
import { missingTools } from '../support/tools.ts';
import { eventually, within } from '../support/within.ts';

const connect = (name: string, ...more: string[]) =>
  `${[`CONNECT ${name} HTTP/1.1`, `Host: ${name}`, ...more].join('\r\n')}\r\n\r\n`;
const get = (url: string, ...more: string[]) => `${[`GET ${url} HTTP/1.1`, 'Host: x', ...more].join('\r\n')}\r\n\r\n`;

/** The whole answer to bytes on a connection of their own, but for what differs from answer to answer. */
async function answer(kit: ProxyKit, where: 'front-door' | 'proxy', bytes: string): Promise<string> {
  const peer = await kit.wire(where);
  peer.stream.write(bytes, 'latin1');
  const text = await within('an answer', peer.ended());
  return text.replace(/^Date: .*\r\n/m, '').replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>');
}

describe("the proxy's own listener", () => {
  test('takes absolute-form to domains, instances and ports, one after the other on a kept connection', () =>
    withProxy({}, async (kit) => {
      const peer = await kit.wire('proxy');
      peer.stream.write(get('http://www.test/a//b?c'));
      await peer.until('GET /a//b?c www.test []');
      peer.stream.write('POST http://ONE.www.test HTTP/1.1\r\nHost: other\r\nContent-Length: 4\r\n\r\nbody');
      await peer.until('POST / ONE.www.test [body]');
      const records = await kit.events.until('access', 2);
      assert.deepEqual(
        records.map(({ record }) => [record.way, record.domain, record.instance, record.status, record.reason]),
        [
          ['proxy', 'www.test', 'one', 200, 'done'],
          ['proxy', 'www.test', 'one', 200, 'done'],
        ],
      );
    }));

  test('takes CONNECT: the banner, what was sent with the request, and half-close arrive', () =>
    withProxy({}, async (kit) => {
      for (const [name, banner] of [
        ['www.test:22', 'port 22 '],
        ['one.www.test:23', 'port 23 '],
      ] as const) {
        const peer = await kit.wire('proxy');
        peer.stream.end(`${connect(name)}early`);
        const text = await within('the end', peer.ended());
        assert.match(text, /^HTTP\/1\.1 200 Connection established\r\n/);
        assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), `${banner}early`);
      }
      const peer = await kit.wire('proxy');
      peer.stream.end(`${connect('www.test')}GET /in HTTP/1.1\r\nHost: in.side\r\nConnection: close\r\n\r\n`);
      assert.match(await within('the end', peer.ended()), /GET \/in in\.side \[\]$/);
      const [first] = await kit.events.until('access', 3);
      const { way, domain, method, path, status, in: bytesIn } = first?.record ?? assert.fail();
      assert.deepEqual(
        [way, domain, method, path, status, bytesIn],
        ['proxy', 'www.test', 'CONNECT', 'www.test:22', 200, 5],
      );
    }));

  test('passes a reset on as a reset', () =>
    withProxy({}, async (kit) => {
      const peer = await kit.wire('proxy');
      peer.stream.write(connect('www.test:22'));
      await peer.until('port 22 ');
      peer.raw.resetAndDestroy();
      const { record } = await kit.events.wait('access');
      assert.equal(record.reason, 'visitor-reset');
    }));

  test('answers 502 with Proxy-Status, the same for names that are unknown, unserved or not for this visitor', () =>
    withProxy(
      {
        domains: [
          { name: 'www.test', secrets: [DOMAIN_SECRET] },
          { name: 'unserved.test', secrets: [DOMAIN_SECRET] },
          {
            name: 'elsewhere.test',
            secrets: [DOMAIN_SECRET],
            clients: { networks: [{ address: '192.0.2.0', prefix: 24 }] },
          },
          { name: 'never.test', secrets: [DOMAIN_SECRET], clients: { ranges: ['2000-01-01'] } },
        ],
      },
      async (kit) => {
        const names = [
          'unknown.test',
          'localhost',
          'unserved.test',
          'two.www.test',
          'elsewhere.test',
          'never.test',
          '127.0.0.1',
        ];
        const asked = (name: string) => [connect(`${name}:80`), get(`http://${name}/`, 'Connection: close')];
        const answers = [];
        for (const name of names) for (const bytes of asked(name)) answers.push(await answer(kit, 'proxy', bytes));
        assert.match(answers[0] ?? '', /^HTTP\/1\.1 502 Bad Gateway\r\n/);
        assert.match(
          answers[0] ?? '',
          /\r\nProxy-Status: node-1; error=destination_not_found; details="domain-unknown"\r\n/,
        );
        assert.deepEqual([...new Set(answers)].length, 1, [...new Set(answers)].join('\n'));
        const records = await kit.events.until('access', answers.length);
        const reasons = new Set(records.map(({ record }) => record.reason));
        assert.deepEqual(reasons, new Set(['domain-unknown', 'domain-unserved', 'network-refused', 'time-refused']));
      },
    ));

  test('refuses a port that the agent does not name, and requests that are none for a proxy', () =>
    withProxy({}, async (kit) => {
      assert.match(await answer(kit, 'proxy', connect('www.test:9')), /^HTTP\/1\.1 502 .*details="port-unknown"/s);
      for (const bytes of [
        get('/', 'Connection: close'),
        get('https://www.test/', 'Connection: close'),
        get('http://user@www.test/', 'Connection: close'),
        get('http://www.test:0/', 'Connection: close'),
        get('http:///x', 'Connection: close'),
        'GET http://www.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
        'GET http://www.test/#x HTTP/1.1\r\nHost: a\r\n\r\n',
        connect('www.test:99999'),
        connect('a b'),
        'GET /.well-known/backdial-agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\n',
      ]) {
        assert.match(await answer(kit, 'proxy', bytes), /^HTTP\/1\.1 400 /, bytes);
      }
    }));

  test('asks for its credentials with 407, and does not show them to the target', () =>
    withProxy(
      {
        proxy: {
          listen: [{ host: '127.0.0.1', port: 0 }],
          credentials: [{ login: 'user', password: new Secret('password') }],
        },
      },
      async (kit) => {
        for (const header of [
          'X: y',
          basic('user', 'wrong'),
          basic('other', 'password'),
          `Authorization: Basic dXNlcjpwYXNzd29yZA==`,
        ]) {
          for (const bytes of [connect('www.test:22', header), get('http://www.test/', header, 'Connection: close')]) {
            const text = await answer(kit, 'proxy', bytes);
            assert.match(text, /^HTTP\/1\.1 407 Proxy Authentication Required\r\n/);
            assert.match(text, /\r\nProxy-Authenticate: Basic realm="backdial proxy", charset="UTF-8"\r\n/);
          }
        }
        const good = basic('user', 'password');
        assert.match(
          await answer(kit, 'proxy', get('http://www.test/ok', good, 'Connection: close')),
          /GET \/ok www\.test/,
        );
        const peer = await kit.wire('proxy');
        peer.stream.write(connect('www.test:22', good));
        await peer.until('port 22 ');
      },
    ));

  test('lets no byte stream round the login of a domain, whose question passes in absolute-form', () =>
    withProxy(
      {
        domains: [
          {
            name: 'www.test',
            secrets: [DOMAIN_SECRET],
            clients: { credentials: [{ login: 'u', password: new Secret('p') }] },
          },
        ],
      },
      async (kit) => {
        assert.match(await answer(kit, 'proxy', connect('www.test:80')), /^HTTP\/1\.1 502 /);
        assert.match(await answer(kit, 'proxy', get('http://www.test/', 'Connection: close')), /^HTTP\/1\.1 401 /);
        const login = 'Authorization: Basic dTpw';
        assert.match(
          await answer(kit, 'proxy', get('http://www.test/', login, 'Connection: close')),
          /^HTTP\/1\.1 200 /,
        );
        const peer = await kit.wire('proxy');
        peer.stream.write(connect('www.test:22'));
        await peer.until('port 22 ');
      },
    ));
});

describe('dials by the proxy', () => {
  test('are never swapped: of many at once each reaches the port that it asked for', () =>
    withProxy({ domains: [{ name: 'www.test', secrets: [DOMAIN_SECRET], concurrency: 1_000 }] }, async (kit) => {
      const rounds = 400;
      const one = async (index: number) => {
        const port = index % 2 === 0 ? 22 : 23;
        const peer = await kit.wire('proxy');
        peer.stream.end(`${connect(`one.www.test:${port}`)}<${index}>`);
        const text = await within('the end', peer.ended());
        assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), `port ${port} <${index}>`);
      };
      await Promise.all(Array.from({ length: rounds }, (_, index) => one(index)));
      assert.ok(kit.server.tunnels().every((tunnel) => tunnel.stats().streams === 0));
    }));

  test('leave nothing behind where the visitor gives up before they are answered', () =>
    withProxy({}, async (kit) => {
      for (let i = 0; i < 50; i += 1) {
        const peer = await kit.wire('proxy');
        peer.stream.write(connect('www.test:22'), () => peer.raw.resetAndDestroy());
      }
      const streams = () => kit.server.tunnels().reduce((sum, tunnel) => sum + tunnel.stats().streams, 0);
      await kit.events.until('access', 50);
      await eventually('no stream is left', () => streams() === 0);
    }));

  test('switch protocols in absolute-form, as everywhere', () =>
    withProxy({}, async (kit) => {
      const peer = await kit.wire('proxy');
      peer.stream.write(get('http://www.test/', 'Connection: Upgrade', 'Upgrade: echo'));
      await peer.until('101 Switching Protocols');
      peer.stream.write('there and back');
      await peer.until('there and back');
      peer.stream.end();
      await within('the end', peer.ended());
    }));
});

describe('the proxy at the front door', () => {
  const asked = [connect('www.test:22'), get('http://www.test/', 'Connection: close')];
  const with_ = (bytes: string, header: string) => bytes.replace('\r\n\r\n', `\r\n${header}\r\n\r\n`);

  test('serves identities and holders of domains that have a grant', () =>
    withProxy(
      {
        domains: [
          { name: 'www.test', secrets: [DOMAIN_SECRET] },
          { name: 'holder.test', secrets: [CI_SECRET], grants: { connect: [{ name: 'www.test', ports: null }] } },
        ],
      },
      async (kit) => {
        for (const header of [basic('ci', CI_SECRET), basic('holder.test', CI_SECRET)]) {
          const [tunnel = '', request = ''] = asked;
          const peer = await kit.wire('front-door');
          peer.stream.end(with_(tunnel, header));
          assert.match(await within('the end', peer.ended()), /^HTTP\/1\.1 200 .*\r\n\r\nport 22 $/s);
          assert.match(await answer(kit, 'front-door', with_(request, header)), /GET \/ www\.test \[\]$/);
        }
        const ways = (await kit.events.until('access', 4)).map(({ record }) => record.way);
        assert.deepEqual(ways, ['connect', 'connect', 'connect', 'connect']);
      },
    ));

  test('slows down guesses at the secrets of identities, by address, and tells it to the log only', (t) =>
    withProxy({}, async (kit) => {
      // No attempt is earned while time stands still.
      const now = performance.now();
      t.mock.method(performance, 'now', () => now);
      const ask = (secret: string) => answer(kit, 'front-door', with_(asked[0] ?? '', basic('ci', secret)));
      for (let i = 0; i < 10; i += 1) assert.match(await ask(`guess ${i}`), /^HTTP\/1\.1 405 /);
      assert.match(await ask(CI_SECRET.reveal()), /^HTTP\/1\.1 405 /);
      const refused = await kit.events.until('connection-refused', 11);
      assert.deepEqual(
        refused.map(({ reason }) => reason),
        [...new Array(10).fill('secret-wrong'), 'credentials-limit'],
      );
    }));

  test('takes CONNECT of HTTP/2, too', () =>
    withProxy({}, async (kit) => {
      const session = http2.connect(`https://127.0.0.1:${kit.port}`, {
        ca: testAuthority().cert,
        servername: 'localhost',
      });
      session.on('error', () => {});
      try {
        const ask = async (secret: string) => {
          const basic = `Basic ${Buffer.from(`ci:${secret}`).toString('base64')}`;
          const stream = session.request(
            { ':method': 'CONNECT', ':authority': 'www.test:22', 'proxy-authorization': basic },
            { endStream: false },
          );
          stream.on('error', () => {});
          let text = '';
          stream.on('data', (chunk) => {
            text += chunk;
          });
          const [headers] = await within('an answer', once(stream, 'response'));
          stream.end('hello');
          await within('the end', once(stream, 'close'));
          return [headers[':status'], text];
        };
        assert.deepEqual(await ask(CI_SECRET.reveal()), [200, 'port 22 hello']);
        assert.equal((await ask('wrong'))[0], 405);
      } finally {
        session.destroy();
      }
    }));

  test('serves a client certificate: of a granted identity, and of a domain with a grant', {
    skip: missingTools('openssl'),
  }, async () => {
    const pki = await AgentPki.make();
    const connectGrant = { connect: [{ name: 'www.test', ports: null }] };
    await withProxy(
      {
        domains: [
          { name: 'www.test', secrets: [DOMAIN_SECRET] },
          { name: 'ops.test', secrets: [], certificates: pki.pem },
          { name: 'holder.test', secrets: [], certificates: pki.pem, grants: connectGrant },
        ],
        grants: [{ identity: 'alice', certificate: 'alice.ops.test', ...connectGrant }],
      },
      async (kit) => {
        const ask = async (names: string[], from = pki) => {
          const { certificate: cert, key: secret } = await from.issue(names);
          const key = secret.reveal();
          const socket = tls.connect({
            port: kit.port,
            host: '127.0.0.1',
            ca: testAuthority().cert,
            servername: 'localhost',
            cert,
            key,
          });
          socket.on('error', () => {});
          let text = '';
          socket.on('data', (chunk) => {
            text += chunk;
          });
          socket.end(connect('www.test:22'));
          await within('the end', once(socket, 'close'));
          return text;
        };
        assert.match(await ask(['alice.ops.test']), /^HTTP\/1\.1 200 .*port 22 $/s);
        assert.match(await ask(['one.holder.test']), /^HTTP\/1\.1 200 .*port 22 $/s);
        for (const names of [['bob.ops.test'], ['www.test'], ['alice.other.test']])
          assert.match(await ask(names), /^HTTP\/1\.1 405 /);
        assert.match(await ask(['alice.ops.test'], await AgentPki.make()), /^HTTP\/1\.1 405 /);
      },
    );
  });

  test('is not there for anybody else: the answer is that of a server without one', () =>
    withProxy({}, async (kit) => {
      for (const bytes of [...asked, connect('unknown.test:22'), connect('unserved.test:22')]) {
        const plain = await answer(kit, 'front-door', bytes);
        assert.match(plain, /^HTTP\/1\.1 4/);
        for (const header of [
          basic('ci', 'wrong'),
          basic('nobody', CI_SECRET),
          basic('www.test', DOMAIN_SECRET),
          'Proxy-Authorization: Bearer x',
          'Proxy-Authorization: Basic !!!',
          `${basic('ci', CI_SECRET)}\r\n${basic('ci', CI_SECRET)}`,
        ]) {
          assert.equal(await answer(kit, 'front-door', with_(bytes, header)), plain, header);
        }
      }
      const other = connect('other.test:22');
      assert.equal(
        await answer(kit, 'front-door', with_(other, basic('ci', CI_SECRET))),
        await answer(kit, 'front-door', other),
      );
      const missing = kit.events.of('connection-refused').map(({ detail }) => detail);
      assert.ok(missing.some((text) => text.endsWith('no grant of `connect` allows www.test:22 to domain www.test')));
      // No domain's name: what the server dials needs another grant.
      const either = 'no grant of `connect` allows unknown.test:22 to domain www.test, nor does one of `destinations`';
      assert.ok(missing.some((text) => text.endsWith(either)));
      assert.ok(missing.some((text) => text.includes('no grant of `connect` allows other.test:22 to identity ci')));
    }));

  test('tells who has a grant for the name that it leads nowhere', () =>
    withProxy({}, async (kit) => {
      for (const name of ['unknown.test:22', 'unserved.test:22']) {
        assert.match(
          await answer(kit, 'front-door', connect(name, basic('ci', CI_SECRET))),
          /^HTTP\/1\.1 502 .*domain-unknown/s,
        );
      }
    }));

  test('cuts a destination whose network is granted no more, whatever its name, here and at the proxy', async () => {
    const target = await startEchoTarget('destination ');
    const { port } = target.address as { port: number };
    const within8 = (address: string) => [{ host: { address, prefix: 8 }, ports: { first: port, last: port } }];
    const identities = (network: string): IdentityOptions[] => [
      { ...CI, destinations: within8(network) },
      { ...CI, identity: 'stays', destinations: within8('127.0.0.0') },
    ];
    await withProxy({ grants: identities('127.0.0.0') }, async (kit) => {
      const open = async (where: 'front-door' | 'proxy', identity: string) => {
        const peer = await kit.wire(where);
        peer.stream.write(connect(`localhost:${port}`, basic(identity, CI_SECRET)));
        await peer.until('destination ');
        return peer;
      };
      const cut = [await open('front-door', 'ci'), await open('proxy', 'ci')];
      const stay = [await open('front-door', 'stays'), await open('proxy', 'stays')];
      await kit.apply({ grants: identities('10.0.0.0') });
      for (const peer of cut) await within('the cut', peer.ended(), 20_000);
      for (const peer of stay) {
        peer.stream.write('still here');
        await peer.until('still here');
      }
    });
    target.close();
  });

  test('cuts within 5 s what was open under a grant that is taken away, and nothing else', () =>
    withProxy({ grants: [CI, { ...CI, identity: 'stays' }] }, async (kit) => {
      const open = async (identity: string) => {
        const peer = await kit.wire('front-door');
        peer.stream.write(connect('www.test:22', basic(identity, CI_SECRET)));
        await peer.until('port 22 ');
        return peer;
      };
      const [cut, stays] = [await open('ci'), await open('stays')];
      await kit.apply({
        grants: [
          { ...CI, connect: [{ name: 'www.test', ports: { first: 23, last: 23 } }] },
          { ...CI, identity: 'stays' },
        ],
      });
      await within('the cut', cut.ended(), 20_000);
      const { record } = await kit.events.wait('access', () => true);
      assert.equal(record.reason, 'grant-missing');
      stays.stream.write('still here');
      await stays.until('still here');
      assert.match(await answer(kit, 'front-door', connect('www.test:22', basic('ci', CI_SECRET))), /^HTTP\/1\.1 4/);
    }));
});
