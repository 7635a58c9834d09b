import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret, type TargetAddress } from '../../src/index.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { runTool, startDaemon } from '../support/real-program.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { openTunnel, SECRET } from '../support/with-tunnel.ts';

const FILE_BYTES = 3_000_000;

function nginxConfig(folder: string, port: number, tlsPort: number): string {
  const { certFile, keyFile } = testCertificate();
  const { uid, username } = userInfo();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
${uid === 0 ? `user ${username};` : ''} daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
http {
  access_log off; ${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
  server {
    listen 127.0.0.1:${port}; listen unix:${folder}/nginx.sock;
    listen 127.0.0.1:${tlsPort} ssl http2; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};
    location /file { alias ${folder}/file; }
    location / { return 200 "$server_protocol $host $request_uri"; }
  }
}`;
}

test(
  'nginx is a target of createAgent in the clear, over TLS with HTTP/2, and at a Unix socket',
  {
    skip: missingTools('nginx', 'curl'),
  },
  () =>
    withFolder({}, async (folder) => {
      const [port, tlsPort] = [await steadyPort(), await steadyPort()];
      const content = randomBytes(FILE_BYTES);
      await writeFile(join(folder, 'file'), content);
      await writeFile(join(folder, 'nginx.conf'), nginxConfig(folder, port, tlsPort));
      const flags = ['-e', `${folder}/error.log`, '-p', folder, '-c', join(folder, 'nginx.conf')];
      const nginx = await startDaemon('nginx', flags, port);
      const targets: Record<string, { target: TargetAddress; protocol: string }> = {
        'clear.test': { target: { kind: 'tcp', host: '127.0.0.1', port }, protocol: 'HTTP/1.1' },
        'tls.test': {
          target: { kind: 'https', host: 'localhost', port: tlsPort, ca: testAuthority().cert },
          protocol: 'HTTP/2.0',
        },
        'unix.test': { target: { kind: 'unix', path: join(folder, 'nginx.sock') }, protocol: 'HTTP/1.1' },
      };
      try {
        for (const [name, { target, protocol }] of Object.entries(targets)) {
          const tunnel = await openTunnel({
            target,
            server: { domains: [{ name, secrets: [new Secret(SECRET)], listen: [{ host: '127.0.0.1', port: 0 }] }] },
            agentDomain: { name },
          });
          const curl = async (path: string, ...more: string[]) => {
            const base = ['-sS', '--noproxy', '*', '--max-time', '60', '--insecure'];
            const where = [
              '--resolve',
              `${name}:${tunnel.frontDoor}:127.0.0.1`,
              `https://${name}:${tunnel.frontDoor}${path}`,
            ];
            const { code, stdout, stderr } = await runTool('curl', [...base, ...more, ...where]);
            assert.equal(code, 0, `${name}: ${stderr}`);
            return stdout;
          };
          try {
            assert.equal(await curl('/a//b?c=%2525'), `${protocol} ${name} /a//b?c=%2525`);
            const file = join(folder, 'got');
            await curl('/file', '-o', file);
            const { stdout } = await runTool('sha256sum', [file]);
            assert.equal(stdout.split(' ')[0], createHash('sha256').update(content).digest('hex'), name);
            assert.equal(
              await curl('/file', '-r', '10-13', '-o', '-', '-w', '%{http_code}').then((text) => text.slice(-3)),
              '206',
            );
            const dispatcher = tunnel.server.dispatcher();
            const answer = await fetch(`http://${name}/fetched`, { dispatcher });
            // The agent routes it as it does a visitor's.
            assert.equal(await answer.text(), `${protocol} ${name} /fetched`);
            await dispatcher.close();
          } finally {
            await tunnel.close();
          }
        }
      } finally {
        await nginx.stop();
      }
    }),
);
