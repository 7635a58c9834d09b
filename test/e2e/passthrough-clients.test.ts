import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import * as http from 'node:http';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { issueClientCertificate, testAuthority, testCertificate } from '../support/certificates.ts';
import { visit } from '../support/curl.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { runTool, startDaemon } from '../support/real-program.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { DOMAIN, openTunnel, type Tunnel, withTunnel } from '../support/with-tunnel.ts';

const PASSTHROUGH = { tls: 'passthrough' } as const;
const TRUST = ['-CAfile', testAuthority().certFile, '-verify_return_error', '-verify_hostname', DOMAIN];

describe('openssl s_client through an agent', { skip: missingTools('openssl') }, () => {
  let server: tls.Server;
  let close: () => Promise<void>;
  let tunnel: Tunnel;
  before(async () => {
    const { cert, key } = testCertificate();
    server = tls.createServer({ cert, key, ca: testAuthority().cert, requestCert: true, rejectUnauthorized: false });
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      const { subject } = socket.getPeerCertificate();
      const who = socket.authorized ? subject.CN : 'nobody';
      socket.end(`${socket.getProtocol()} reused:${socket.isSessionReused()} ${who}\n`);
    });
    close = closerOf(server);
    tunnel = await openTunnel({ target: await listenOn(server), domain: PASSTHROUGH });
  });
  after(async () => {
    await tunnel?.close();
    await close();
  });

  const client = (...more: string[]) => {
    const where = ['-connect', `127.0.0.1:${tunnel.frontDoor}`, '-servername', DOMAIN];
    return runTool('openssl', ['s_client', ...where, ...TRUST, ...more], '');
  };

  for (const [version, name] of [
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ] as const) {
    test(`shakes hands with the target itself, and resumes its sessions (${name})`, () =>
      withFolder({}, async (folder) => {
        const session = join(folder, 'session');
        const first = await client(version, '-sess_out', session, '-ign_eof');
        assert.match(first.stdout, new RegExp(`${name} reused:false nobody`), first.stderr);
        assert.match(first.stdout, /Verif(?:y return code|ication): (?:0 \(ok\)|OK)/);
        const second = await client(version, '-sess_in', session, '-ign_eof');
        assert.match(second.stdout, new RegExp(`${name} reused:true nobody`), second.stderr);
      }));

    test(`shows its certificate to the target itself (${name})`, async () => {
      const { certFile, keyFile } = issueClientCertificate('/CN=Jane Doe');
      const { stdout, stderr } = await client(version, '-cert', certFile, '-key', keyFile, '-ign_eof');
      assert.match(stdout, new RegExp(`${name} reused:false Jane Doe`), stderr);
    });
  }
});

test('redis-cli speaks TLS with a redis-server', { skip: missingTools('redis-server', 'redis-cli') }, () =>
  withFolder({}, async (folder) => {
    const port = await steadyPort();
    const { certFile, keyFile } = testCertificate();
    const ca = testAuthority().certFile;
    const tlsFlags = ['--tls-port', String(port), '--tls-cert-file', certFile, '--tls-key-file', keyFile];
    const trust = ['--tls-ca-cert-file', ca, '--tls-auth-clients', 'no'];
    const flags = ['--port', '0', '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...tlsFlags, ...trust];
    const redis = await startDaemon('redis-server', flags, port);
    try {
      await withTunnel({ target: port, domain: PASSTHROUGH }, async ({ frontDoor }) => {
        const where = ['-h', '127.0.0.1', '-p', String(frontDoor), '--tls', '--sni', DOMAIN, '--cacert', ca];
        assert.equal((await runTool('redis-cli', [...where, 'set', 'name', 'a value'])).stdout, 'OK\n');
        assert.equal((await runTool('redis-cli', [...where, 'get', 'name'])).stdout, 'a value\n');
        const piped = Array.from({ length: 5_000 }, (_, at) => `SET key${at} ${at}\r\n`).join('');
        const pipe = await runTool('redis-cli', [...where, '--pipe'], piped);
        assert.match(pipe.stdout, /errors: 0, replies: 5000/);
      });
    } finally {
      await redis.stop();
    }
  }),
);

describe('nginx beside the server', { skip: missingTools('nginx', 'curl') }, () => {
  const get = (port: number, path: string, ...flags: string[]) =>
    visit(DOMAIN, port, path, ['--cacert', testAuthority().certFile, ...flags]);

  /** Runs an nginx that says what it took for its visitor. */
  async function withNginx(listen: string, body: (port: number) => Promise<void>): Promise<void> {
    await withFolder({}, async (folder) => {
      const port = await steadyPort();
      const { certFile, keyFile } = testCertificate();
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (kind) => `${kind}_temp_path ${folder};`,
      );
      const { uid, username } = userInfo();
      const settings = [
        ...(uid === 0 ? [`user ${username};`] : []),
        `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {} http { access_log off;`,
        ...temporary,
        `server { listen 127.0.0.1:${port} ssl http2 ${listen};`,
        `ssl_certificate ${certFile}; ssl_certificate_key ${keyFile}; ssl_protocols TLSv1.3;`,
        'location / { return 200 "$server_protocol $ssl_protocol $ssl_server_name $proxy_protocol_addr:$proxy_protocol_port ' +
          '$proxy_protocol_server_addr:$proxy_protocol_server_port"; } } }',
      ];
      await writeFile(join(folder, 'nginx.conf'), settings.join('\n'));
      const flags = ['-e', `${folder}/error.log`, '-p', folder, '-c', join(folder, 'nginx.conf')];
      const nginx = await startDaemon('nginx', flags, port);
      try {
        await body(port);
      } finally {
        await nginx.stop();
      }
    });
  }

  async function withBackend(port: number, version: 1 | 2 | null, body: (server: BackendServer) => Promise<void>) {
    const target = { host: '127.0.0.1', port };
    const server = await startBackendServer({ ...PASSTHROUGH, target, proxyProtocol: version });
    try {
      await body(server);
    } finally {
      await server.close();
    }
  }

  test('serves curl over HTTP/1.1 and HTTP/2, under its own certificate', () =>
    withNginx('', (port) =>
      withBackend(port, null, async ({ frontDoor }) => {
        assert.match(await get(frontDoor, '/', '--http1.1'), /^HTTP\/1\.1 TLSv1\.3 www\.example\.com /);
        assert.match(await get(frontDoor, '/', '--http2'), /^HTTP\/2\.0 TLSv1\.3 www\.example\.com /);
      }),
    ));

  for (const version of [1, 2] as const) {
    test(`takes the visitor's address from the PROXY header (version ${version})`, () =>
      withNginx('proxy_protocol', (port) =>
        withBackend(port, version, async ({ frontDoor }) => {
          const answer = await get(frontDoor, '/', '--local-port', '51000-51999');
          assert.match(answer, new RegExp(` 127\\.0\\.0\\.1:51\\d{3} 127\\.0\\.0\\.1:${frontDoor}$`));
        }),
      ));
  }
});

test('a second Backdial ends the TLS that the first one passes on', { skip: missingTools('curl') }, async () => {
  const service = http.createServer((request, response) => response.end(`${request.method} ${request.url}`));
  await using stack = new AsyncDisposableStack();
  stack.defer(closerOf(service));
  const port = await listenOn(service);
  await withTunnel({ target: port }, async (second) => {
    const target = { host: '127.0.0.1', port: second.frontDoor };
    const first = await startBackendServer({ ...PASSTHROUGH, target });
    try {
      for (const version of ['--http1.1', '--http2']) {
        const answer = await visit(DOMAIN, first.frontDoor, '/twice', ['--cacert', testAuthority().certFile, version]);
        assert.equal(answer, 'GET /twice');
      }
    } finally {
      await first.close();
    }
  });
});
