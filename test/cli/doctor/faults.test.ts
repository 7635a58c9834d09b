import assert from 'node:assert/strict';
import 'reflect-metadata';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { examine } from '../../../src/cli/doctor/examine.ts';
import { type Finding, isHealthy, type Step } from '../../../src/cli/doctor/findings.ts';
import { reportText } from '../../../src/cli/doctor/report.ts';
import { subjectOfFlags } from '../../../src/cli/doctor/subject.ts';
import { pinOf } from '../../../src/net/pin.ts';
import { makeSelfSigned } from '../../../src/pki/self-signed.ts';
import {
  issueCertificate,
  issueClientCertificate,
  makeAuthority,
  type TestCertificate,
  testAuthority,
  testCertificate,
} from '../../support/certificates.ts';
import { ConnectProxy } from '../../support/connect-proxy.ts';
import { datedCertificate } from '../../support/dated-certificate.ts';
import { listenOn, withListener } from '../../support/listen-on.ts';
import { withFolder } from '../../support/with-folder.ts';
import { type TestServer, withServer } from '../../support/with-server.ts';

const SECRET = 'a secret of enough bytes';

interface Flags {
  readonly [flag: string]: string | boolean | undefined;
}

/** What the doctor finds of the server at a port; the secret and the authority are right unless `flags` say otherwise. */
function diagnose(port: number, flags: Flags = {}, env: Record<string, string> = {}): Promise<Finding[]> {
  const given = { domain: 'www.test', secret: SECRET, ca: testAuthority().certFile, ...flags };
  const server = String(flags.server ?? `127.0.0.1:${port}`);
  return examine(subjectOfFlags({ ...given, server }, env), env);
}

function stepsOf(findings: readonly Finding[], result: Finding['result']): Step[] {
  return findings.filter((finding) => finding.result === result).map(({ step }) => step);
}

function findingOf(findings: readonly Finding[], step: Step): Finding {
  const found = findings.filter((finding) => finding.step === step);
  assert.equal(found.length, 1, JSON.stringify(findings, null, 2));
  return found[0] as Finding;
}

/** Exactly this failed, and something is to be done about it. */
function assertFault(findings: readonly Finding[], step: Step, seen: RegExp, advised: RegExp): void {
  assert.deepEqual(stepsOf(findings, 'failed'), [step], JSON.stringify(findings, null, 2));
  const { message, advice } = findingOf(findings, step);
  assert.match(message, seen);
  assert.match(advice ?? '', advised);
  assert.ok(!isHealthy(findings));
  assert.ok(!JSON.stringify(findings).includes(SECRET));
}

/** A TLS relay in front of a server that rewrites what visitors send: a middlebox. */
function middlebox(
  to: number,
  certificate: TestCertificate,
  rewrite: (head: string) => string,
  rewriteAnswer = (head: string) => head,
): https.Server {
  const server = https.createServer({ cert: certificate.cert, key: certificate.key });
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (visitor) => {
    const upstream = connectTls({ port: to, host: '127.0.0.1', rejectUnauthorized: false });
    visitor.once('data', (head: Buffer) => {
      upstream.write(rewrite(head.toString('latin1')), 'latin1');
      visitor.pipe(upstream);
    });
    upstream.once('data', (head: Buffer) => {
      visitor.write(rewriteAnswer(head.toString('latin1')), 'latin1');
      upstream.pipe(visitor);
    });
    for (const [socket, other] of [[visitor, upstream] as const, [upstream, visitor] as const]) {
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  });
  return server;
}

describe('backdial doctor', () => {
  it('finds nothing wrong with a server that is all right, and leaves no tunnel behind', async () => {
    await withServer({}, async (server: TestServer) => {
      const target = net.createServer((socket) => socket.on('error', () => {}));
      await withListener(target, async (targetPort) => {
        const findings = await diagnose(server.port, { target: String(targetPort) });
        assert.deepEqual(
          findings.map(({ step, result }) => `${step} ${result}`),
          [
            'options warning',
            'proxy ok',
            'name ok',
            'tcp ok',
            'tls ok',
            // Those of the tests end tomorrow.
            'certificate warning',
            'clock ok',
            'upgrade ok',
            'secret ok',
            'http2 ok',
            'target ok',
          ],
        );
        assert.match(findingOf(findings, 'certificate').message, /chain and name are in order, valid until 20\d\d-/);
        assert.match(findingOf(findings, 'tls').message, /^TLSv1\.3, TLS_AES/);
      });
      const [closed] = await server.events.until('tunnel-closed');
      assert.match(closed?.tunnel.instance ?? '', /^doctor-[0-9a-f]{8}$/);
      assert.deepEqual(server.events.of('tunnel-closed').length, 1);
      assert.deepEqual(server.events.of('connection-refused'), [], 'no news of a visitor who fails');
    });
  });

  it('needs neither domain nor secret to tell whether a server is there', async () => {
    await withServer({}, async ({ port }) => {
      const findings = await diagnose(port, { domain: undefined, secret: undefined });
      assert.deepEqual(stepsOf(findings, 'failed'), []);
      assert.deepEqual(stepsOf(findings, 'skipped'), ['secret']);
      assert.equal(findingOf(findings, 'upgrade').result, 'ok');
    });
  });

  it('sees a wrong secret, and a domain that the server does not know', async () => {
    await withServer({}, async ({ port }) => {
      for (const flags of [{ secret: 'another secret altogether' }, { domain: 'other.test' }]) {
        const findings = await diagnose(port, flags);
        assertFault(findings, 'secret', /refused \(answered 404\)/, /the secret is none of .*backdial domain add/);
      }
    });
  });

  it('thinks of a server whose agents knock at another path, and of a domain that takes certificates alone', async () => {
    await withServer({ service: '/knock' }, async ({ port }) => {
      const advised = /or it takes certificates alone.*or the server's `service` is not \/\.well-known\/backdial-agent/;
      assertFault(await diagnose(port), 'secret', /refused \(answered 404\)/, advised);
    });
  });

  it('sees a wrong pin, and shows that server no secret', async () => {
    await withServer({}, async (server) => {
      const pin = `sha256/${'A'.repeat(43)}=`;
      const findings = await diagnose(server.port, { pin, ca: undefined });
      assertFault(
        findings,
        'certificate',
        /expected the pin sha256\/AAAA/,
        /compare with the pin that the server prints/,
      );
      assert.equal(findingOf(findings, 'secret').result, 'skipped');
      assert.deepEqual(server.events.of('tunnel-opened'), []);
      const refused = server.events.of('handshake-refused');
      assert.deepEqual(
        refused.map(({ reason }) => reason),
        ['secret-missing'],
      );
    });
  });

  it('takes the pin alone as enough, and both where both are given', async () => {
    await withServer({}, async ({ port }) => {
      const pin = pinOf(testCertificate().cert);
      const alone = findingOf(await diagnose(port, { pin, ca: undefined }), 'certificate');
      assert.equal(alone.advice, 'it ends in 1 day: renew it');
      assert.match(alone.message, /it has the pin, valid/);
      const both = findingOf(await diagnose(port, { pin }), 'certificate');
      assert.match(both.message, /it has the pin, and chain and name are in order/);
    });
  });

  it('sees a certificate that no known authority issued, and one for another name', async () => {
    await withServer({}, async ({ port }) => {
      assertFault(
        await diagnose(port, { ca: makeAuthority('A stranger').certFile }),
        'certificate',
        /is not trusted: .*(UNABLE_TO|SELF_SIGNED)/,
        /give `ca` the authority that issued it/,
      );
    });
    const { cert, key } = issueCertificate(['DNS:elsewhere.test']);
    await withServer({ certificates: [{ hosts: ['*'], cert, key }] }, async ({ port }) => {
      assertFault(
        await diagnose(port),
        'certificate',
        /is not trusted: it is not for 127\.0\.0\.1 but for elsewhere\.test$/,
        /^dial the server by a name that its certificate has/,
      );
    });
    // As old tools make them.
    const old = issueClientCertificate('/CN=elsewhere.test', testAuthority(), 'serverAuth');
    await withServer({ certificates: [{ hosts: ['*'], cert: old.cert, key: old.key }] }, async ({ port }) => {
      assertFault(
        await diagnose(port),
        'certificate',
        /is not for 127\.0\.0\.1 but for elsewhere\.test$/,
        /^dial the server/,
      );
    });
  });

  it('sees a certificate that has ended', async () => {
    const ended = await datedCertificate('2020-01-01', '2020-02-01');
    const server = https.createServer(ended, (_request, response) => response.writeHead(404).end());
    await withFolder({ 'ca.pem': ended.cert }, async (folder) => {
      await withListener(server, async (port) => {
        const { result, message, advice } = findingOf(await diagnose(port, { ca: `${folder}/ca.pem` }), 'certificate');
        assert.equal(result, 'failed');
        assert.match(message, /CERT_HAS_EXPIRED; by the clock of this machine it is 20\d\d-[^;:]*:[^;:]*:[^;:]*$/);
        assert.match(
          advice ?? '',
          /^by this clock it ended on 2020-02-01 00:00 UTC: where the clock is right .*, renew it at the server/,
        );
        const pinned = findingOf(await diagnose(port, { pin: pinOf(ended.cert), ca: undefined }), 'certificate');
        assert.equal(pinned.result, 'warning');
        assert.match(pinned.message, /it has the pin, valid until 2020-02-01; by this clock it ended on/);
      });
    });
  });

  it('sees a port where nothing listens, one that speaks plain HTTP, and one that resets TLS', async () => {
    const gone = net.createServer();
    const port = await listenOn(gone);
    gone.close();
    assertFault(await diagnose(port), 'tcp', /ECONNREFUSED/, /nothing listens at this port/);
    await withListener(http.createServer(), async (plain) => {
      assertFault(await diagnose(plain), 'tls', /the handshake failed/, /does not speak TLS: check the port/);
    });
    const cutter = net.createServer((socket) =>
      socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()),
    );
    await withListener(cutter, async (cut) => {
      assertFault(await diagnose(cut), 'tls', /ECONNRESET/, /cut during the TLS handshake/);
    });
  });

  it('sees a middlebox that strips Upgrade, from what a Backdial server answers then', async () => {
    await withServer({}, async ({ port }) => {
      const strip = (head: string) => head.replace(/^(Connection|Upgrade): .*\r\n/gim, '');
      await withListener(middlebox(port, testCertificate(), strip), async (between) => {
        assertFault(
          await diagnose(between),
          'upgrade',
          /behind something \(the connection was kept\) that strips `Upgrade`, or that brings a refusal/,
          /has to pass `Connection: Upgrade`/,
        );
      });
    });
  });

  it('does not take a refusal that a proxy brings for a stripped Upgrade alone', async () => {
    await withServer({}, async ({ port }) => {
      // As HAProxy and nginx do: `Connection` is theirs on each side.
      const keep = (answer: string) => answer.replace(/^Connection: close$/im, 'Connection: keep-alive');
      await withListener(
        middlebox(port, testCertificate(), (head) => head, keep),
        async (between) => {
          const findings = await diagnose(between, { secret: 'another secret of enough bytes' });
          assertFault(
            findings,
            'upgrade',
            /or that brings a refusal$/,
            /`handshake-refused`.*the secret, the domain or a grant/,
          );
          assert.match(findingOf(findings, 'secret').message, /^www\.test: not known/);
          assert.equal(findingOf(await diagnose(between), 'secret').result, 'ok');
        },
      );
    });
  });

  it('sees another web server, and a proxy that names itself', async () => {
    const { cert, key } = testCertificate();
    const other = https.createServer({ cert, key }, (_request, response) => {
      response.writeHead(404, { Server: 'nginx', Connection: 'close' }).end();
    });
    await withListener(other, async (port) => {
      assertFault(
        await diagnose(port),
        'upgrade',
        /something else than a Backdial server \(`server: nginx`\)/,
        /check the address/,
      );
    });
  });

  it('sees a peer that turns the connection around and then speaks no HTTP/2', async () => {
    const { cert, key } = testCertificate();
    const server = https.createServer({ cert, key });
    server.on('upgrade', (_request, socket: net.Socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\nhello there');
    });
    await withListener(server, async (port) => {
      assertFault(await diagnose(port), 'http2', /^www\.test: (?!.*agent)/, /passes the upgrade but not what follows/);
    });
  });

  it('sees a clock that is an hour off', async () => {
    const { cert, key } = testCertificate();
    const server = https.createServer({ cert, key });
    server.on('upgrade', (_request, socket: net.Socket) => {
      const date = new Date(Date.now() + 3_600_000).toUTCString();
      socket.end(`HTTP/1.1 404 Not Found\r\nDate: ${date}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });
    await withListener(server, async (port) => {
      const findings = await diagnose(port, { secret: undefined });
      assertFault(findings, 'clock', /this machine's is 60 min behind the server's/, /NTP/);
    });
  });

  it('sees a name that does not resolve, and looks at every address of one that does', async () => {
    assertFault(
      await diagnose(0, { server: 'no-such-host.invalid:443' }),
      'name',
      /no-such-host\.invalid cannot be resolved/,
      /check the spelling|the resolver/,
    );
    await withServer({}, async ({ port }) => {
      const findings = await diagnose(0, { server: `localhost:${port}` });
      assert.match(findingOf(findings, 'name').message, /127\.0\.0\.1/);
      assert.ok(findings.some(({ place }) => place === `localhost:${port} at 127.0.0.1:${port}`));
    });
  });

  it('goes by way of the proxy that the environment names, and sees that it refuses', async () => {
    await withServer({}, async ({ port }) => {
      const proxy = new ConnectProxy({ credentials: 'me:pa55word' });
      await proxy.listen();
      try {
        const way = (login: string) => ({ HTTPS_PROXY: `http://${login}127.0.0.1:${proxy.port}` });
        const good = await diagnose(port, {}, way('me:pa55word@'));
        assert.ok(isHealthy(good), JSON.stringify(good));
        assert.match(
          findingOf(good, 'proxy').message,
          new RegExp(`by way of 127\\.0\\.0\\.1:${proxy.port}, with a login`),
        );
        assert.ok(!JSON.stringify(good).includes('pa55word'));
        const bad = await diagnose(port, {}, way(''));
        assertFault(bad, 'tcp', /answered CONNECT .* with 407/, /check HTTPS_PROXY, its login/);
        const none = await diagnose(port, {}, { ...way(''), NO_PROXY: '127.0.0.1' });
        assert.match(findingOf(none, 'proxy').message, /NO_PROXY covers this server/);
        assert.ok(isHealthy(none));
      } finally {
        proxy.close();
      }
    });
  });

  it('warns of a proxy that agents do not use, and of `insecure` without a pin', async () => {
    await withServer({}, async ({ port }) => {
      const proxied = findingOf(await diagnose(port, {}, { HTTP_PROXY: 'http://127.0.0.1:1' }), 'proxy');
      assert.deepEqual(
        [proxied.result, proxied.advice],
        ['warning', 'if this network needs its proxy, set HTTPS_PROXY, too'],
      );
    });
    const server = https.createServer(await lastingCertificate(), (_request, response) => response.end());
    await withListener(server, async (port) => {
      const unseen = findingOf(await diagnose(port, { ca: undefined, insecure: true }), 'certificate');
      assert.deepEqual(
        [unseen.result, unseen.advice],
        ['warning', '`insecure` lets anyone in between read the secret: use `pin`'],
      );
    });
  });

  it('sees a server that has no version of TLS in common with agents', async () => {
    const { cert, key } = testCertificate();
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    await withListener(https.createServer({ cert, key, ...old }), async (port) => {
      assertFault(await diagnose(port), 'tls', /protocol version/, /no TLS version or cipher in common/);
    });
  });

  it('sees a server without a certificate for its name', async () => {
    const { cert, key } = testCertificate();
    await withServer({ certificates: [{ hosts: ['elsewhere.test'], cert, key }] }, async ({ port }) => {
      const findings = await diagnose(0, { server: `localhost:${port}` });
      assertFault(
        findings,
        'tls',
        /unrecognized name/,
        /^the server has no certificate for this name.*or dial another name of it$/,
      );
    });
  });

  it('thinks of passthrough where the server is dialled by the name of the domain', async () => {
    const { cert, key } = testCertificate();
    const advised = /; or is localhost a domain with `tls: "passthrough"`\? Then its agents need another name/;
    await withServer({ certificates: [{ hosts: ['elsewhere.test'], cert, key }] }, async ({ port }) => {
      const findings = await diagnose(0, { server: `localhost:${port}`, domain: 'localhost' });
      assertFault(findings, 'tls', /unrecognized name/, advised);
    });
    const target = https.createServer({ cert, key }, (_request, response) => void response.end());
    await withListener(target, async (port) => {
      const findings = await diagnose(0, { server: `localhost:${port}`, domain: 'localhost' });
      assertFault(findings, 'upgrade', /something else than a Backdial server/, advised);
    });
  });

  it('sees a value of HTTPS_PROXY with which no agent starts', async () => {
    const findings = await diagnose(443, {}, { HTTPS_PROXY: 'socks5://127.0.0.1:1080' });
    assertFault(findings, 'proxy', /^HTTPS_PROXY must be http:/, /mend or unset the variable/);
  });

  it('sees a target that is down, and one that speaks no TLS', async () => {
    const gone = net.createServer();
    const target = await listenOn(gone);
    gone.close();
    await withServer({}, async ({ port }) => {
      const findings = await diagnose(port, { target: String(target) });
      assertFault(findings, 'target', /ECONNREFUSED/, /start the service, or mend `target`/);
      await withListener(http.createServer(), async (plain) => {
        assertFault(
          await diagnose(port, { target: `https://127.0.0.1:${plain}` }),
          'target',
          /the TLS handshake with the target failed: 127\.0\.0\.1:\d+: wrong version number$/,
          /write http:\/\/ instead of https:/,
        );
      });
    });
  });

  it('sees a target of http:// that speaks TLS, or no HTTP, and asks no other target', async () => {
    const { cert, key } = testCertificate();
    const greeting = net.createServer((socket) => socket.on('error', () => {}).end('220 mail ESMTP\r\n'));
    await withServer({}, async ({ port }) => {
      await withListener(https.createServer({ cert, key }), async (secure) => {
        const findings = await diagnose(port, { target: `http://127.0.0.1:${secure}` });
        assertFault(findings, 'target', /accepts after \d+ ms, but speaks TLS$/, /^write https:/);
        const raw = await diagnose(port, { target: `tcp://127.0.0.1:${secure}` });
        assert.equal(findingOf(raw, 'target').result, 'ok');
      });
      await withListener(greeting, async (mail) => {
        const findings = await diagnose(port, { target: `http://127.0.0.1:${mail}` });
        assert.equal(findingOf(findings, 'target').result, 'warning');
        assert.match(findingOf(findings, 'target').message, /does not answer HTTP$/);
      });
      const asked: string[] = [];
      const plain = http.createServer((request, response) => {
        asked.push(`${request.method} ${request.url} ${request.headers.host}`);
        response.writeHead(400).end();
      });
      await withListener(plain, async (clear) => {
        const findings = await diagnose(port, { target: `http://127.0.0.1:${clear}` });
        assert.equal(findingOf(findings, 'target').result, 'ok');
        assert.deepEqual(asked, ['HEAD / www.test']);
      });
    });
  });

  it('prints what to do under what is wrong, and nothing that a stranger can move the cursor with', () => {
    const text = reportText(
      [
        { place: 'a', step: 'tcp', result: 'ok', message: 'open', advice: null },
        { place: 'a', step: 'tls', result: 'failed', message: 'bad\u001b[2J', advice: 'mend it' },
      ],
      false,
    );
    assert.equal(
      text,
      'a\n  ok    tcp          open\n  FAIL  tls          bad\\x1b[2J\n                     -> mend it\n\n1 thing to mend\n',
    );
  });
});

/** Self-signed, for another year. */
async function lastingCertificate(): Promise<{ cert: string; key: string }> {
  return makeSelfSigned({ hosts: ['localhost'], days: 365 });
}
