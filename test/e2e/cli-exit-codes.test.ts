import assert from 'node:assert/strict';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { issueCertificate, testAuthority, testCertificate } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { assertOneLine, runCli, startCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const SECRET = 'the-secret-of-these-tests';

/** A server file with one active domain that listens where the system likes. */
function serverFolder(more = '', listen = '"127.0.0.1:0"') {
  return {
    'server.json5': `{ listen: [${listen}], ${more} }`,
    'domains/www.example.com.json5': `{ active: true, secret: "${SECRET}" }`,
  };
}

describe('exit code 1: invalid configuration or input', () => {
  it('names file, line and column of every problem of a configuration', async () => {
    const files = {
      'server.json5': '{\n  listen: ["127.0.0.1:0"],\n  lisen: 1,\n  drain: 30,\n}',
      'domains/www.example.com.json5': `{\n  active: true,\n  secret: "${SECRET}",\n  balance: "best",\n}`,
    };
    await withFolder(files, async (folder) => {
      for (const command of ['server', 'check']) {
        const { code, stderr, stdout } = await runCli([command, '-c', `${folder}/server.json5`]);
        assert.equal(code, 1);
        assert.match(stderr, /server\.json5:3:3: lisen: /);
        assert.match(stderr, /server\.json5:4:10: drain: found 30; allowed: a duration such as/);
        assert.match(stderr, /www\.example\.com\.json5:4:12: balance: found "best"; allowed: /);
        assert.equal(stdout, '');
        assert.doesNotMatch(stderr, /\n\s+at /);
      }
    });
  });

  it('is what a missing file gets', async () => {
    const result = await runCli(['agent', '-c', '/nonexistent/agent.json5']);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /\/nonexistent\/agent\.json5:1:1: the file does not exist/);
  });

  it('is what a key gets that cannot be read, is none, or belongs to another certificate', async () => {
    const [one, other] = [testCertificate(), issueCertificate(['DNS:other.test'])];
    const keys = [
      ['none.key', /does not exist/],
      ['domains', /is a folder/],
      ['garbage.key', /key/],
      ['other.key', /does not (?:match|belong)|another/],
    ] as const;
    const entries = keys.map(([key]) => `{ hosts: "*", cert: "one.pem", key: "${key}" }`);
    const files = {
      ...serverFolder(`certificates: [${entries.join()}]`),
      'one.pem': one.cert,
      'other.key': other.key,
      'garbage.key': 'no key at all',
    };
    await withFolder(files, async (folder) => {
      const { code, stderr } = await runCli(['server', '-c', `${folder}/server.json5`]);
      assert.equal(code, 1, stderr);
      const lines = stderr.split('\n');
      for (const [index, [key, text]] of keys.entries()) {
        const line = lines.find((each) => each.includes(`certificates[${index}].key: `)) ?? '';
        assert.match(line, /server\.json5:1:\d+: /, `${key}: ${stderr}`);
        assert.match(line, text);
      }
      assert.doesNotMatch(stderr, /PRIVATE KEY/);
    });
  });

  it('is what wrong values of a quick agent get', async () => {
    const base = ['--server', 'a.test', '--domain', 'b.test', '--secret', SECRET];
    const result = await runCli(['http', 'http://user:pa55@h:1', ...base]);
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stderr, /`http:\/\/\[redacted\]@h:1`/);
    assertOneLine(result);
    assert.doesNotMatch(result.stderr, /pa55/);
    const isHttp = await runCli(['tcp', 'http://user:pa55@localhost:1', ...base]);
    assert.equal(isHttp.code, 1);
    assert.match(isHttp.stderr, /the target `http:\/\/\[redacted\]@localhost:1` is HTTP/);
    assert.equal((await runCli(['http', '1', ...base], { env: { BACKDIAL_LOG_LEVEL: 'loud' } })).code, 1);
    assert.equal((await runCli(['hostname', 'a_b'])).code, 1);
  });
});

describe('exit code 3: cannot listen', () => {
  it('is what a port in use gets, and it is named', async () => {
    const blocker = net.createServer();
    const port = await listenOn(blocker);
    try {
      await withFolder(serverFolder('', `"127.0.0.1:0", "127.0.0.1:${port}"`), async (folder) => {
        const { code, stderr } = await runCli(['server', '-c', `${folder}/server.json5`]);
        assert.equal(code, 3, stderr);
        assert.match(stderr, new RegExp(`cannot listen: .*127\\.0\\.0\\.1:${port}.*(in use|EADDRINUSE)`));
      });
      assert.equal((await runCli(['demo', '--port', String(port)])).code, 3);
    } finally {
      blocker.close();
    }
  });
});

describe('exit code 4: the very first handshake of a quick agent was refused', () => {
  const args = (port: number, ...more: string[]) => {
    return ['http', '3000', '--server', `127.0.0.1:${port}`, '--domain', 'dev.test', '--secret', SECRET, ...more];
  };

  it('lists the causes when the server answers anything but 101', async () => {
    const { cert, key } = testCertificate();
    for (const status of [200, 404]) {
      const server = https.createServer({ cert, key }, (_request, response) => response.writeHead(status).end());
      const port = await listenOn(server);
      try {
        const { code, stderr } = await runCli(args(port, '--ca', testAuthority().certFile));
        assert.equal(code, 4, stderr);
        assert.match(
          stderr,
          new RegExp(`^backdial: the server did not accept this agent: 127.0.0.1:${port} answered ${status} `, 'm'),
        );
        assert.match(stderr, /the secret is wrong/);
        assert.match(stderr, /its `networks` have not this address, or it takes certificates alone/);
        assert.match(stderr, /backdial domain add dev\.test -c FILE/);
        assert.match(stderr, /strips the `Upgrade` header/);
        assert.ok(!stderr.includes(SECRET));
      } finally {
        server.closeAllConnections();
        server.close();
      }
    }
  });

  it('speaks of the pin when it is wrong, and of the CA when there is none', async () => {
    const { cert, key } = testCertificate();
    const server = https.createServer({ cert, key });
    const port = await listenOn(server);
    try {
      for (const more of [['--pin', `sha256/${'A'.repeat(43)}=`], []]) {
        const { code, stderr } = await runCli(args(port, ...more));
        assert.equal(code, 4, stderr);
        assert.match(stderr, /the server's certificate is not trusted/);
        assert.match(stderr, /the pin is not that of this server/);
      }
    } finally {
      server.close();
    }
  });

  it('speaks of TLS when the port does not', async () => {
    const server = http.createServer();
    const port = await listenOn(server);
    try {
      const { code, stderr } = await runCli(args(port));
      assert.equal(code, 4, stderr);
      assert.match(stderr, /the port is not one that speaks TLS.*no entry of its `certificates` covers the name/s);
    } finally {
      server.close();
    }
  });

  it('is not for a server that is not there yet: a quick agent waits for it', async () => {
    const server = net.createServer();
    const port = await listenOn(server);
    server.close();
    const agent = startCli(args(port));
    try {
      const second = await agent.see(/"event":"dial-failed".*"attempt":2,"retryInMs":\d+/);
      assert.match(second[0], /server-unreachable/);
      assert.equal((await agent.end('SIGTERM')).code, 0);
    } finally {
      agent.child.kill('SIGKILL');
    }
  });
});
