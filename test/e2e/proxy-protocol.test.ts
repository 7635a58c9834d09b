import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { runTool, startDaemon } from '../support/real-program.ts';
import { startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';

const SECRET = 'the-secret-of-these-tests';
const HTTP = 'www.example.com';
const PASSED = 'passed.example.com';
const RAW = 'raw.example.com';

/** Of Debian's nginx, whose `stream` is a module of its own. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

interface NginxPorts {
  readonly plain: number;
  readonly secure: number;
  /** From which it passes connections on to `door`, with a header of version 1. */
  readonly sender: number;
  readonly door: number;
}

/**
 * nginx behind Backdial, which closes what does not begin with a valid header, and says whom that names; and another one in
 * front of it, which sends headers.
 */
function nginxConfig(
  folder: string,
  { plain, secure, sender, door }: NginxPorts,
  { certFile, keyFile }: ReturnType<typeof testCertificate>,
) {
  const answer = 'return 200 "$proxy_protocol_addr $http_x_forwarded_for $connection_requests";';
  return `
load_module ${STREAM_MODULE};
daemon off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log; events {}
stream { server { listen 127.0.0.1:${sender}; proxy_pass 127.0.0.1:${door}; proxy_protocol on; } }
http {
  access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen 127.0.0.1:${plain} proxy_protocol; location / { ${answer} } }
  server {
    listen 127.0.0.1:${secure} ssl proxy_protocol; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};
    location / { ${answer} }
  }
}`;
}

function haproxyConfig(fronts: readonly { port: number; to: number; send: string }[]): string {
  const listeners = fronts.map(
    ({ port, to, send }) => `
listen p${port}
  bind 127.0.0.1:${port}
  server s 127.0.0.1:${to} ${send}`,
  );
  return `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n${listeners.join('\n')}\n`;
}

/** The body that curl gets as a visitor from `source`; whatever `--resolve` needs is in `flags`. */
async function visit(source: string, url: string, ...flags: string[]): Promise<string> {
  const always = [
    '-s',
    '--noproxy',
    '*',
    '--max-time',
    '60',
    '--interface',
    source,
    '--cacert',
    testAuthority().certFile,
  ];
  const { stdout, stderr, code } = await runTool('curl', [...always, ...flags, url]);
  return code === 0 ? stdout : `curl ${code} ${stderr}`;
}

describe("the visitor's address, through HAProxy in front and nginx behind", {
  skip: missingTools('haproxy', 'nginx', 'curl', STREAM_MODULE),
}, () => {
  for (const version of [1, 2] as const) {
    it(`is the visitor's own everywhere, with headers of version ${version}`, async () => {
      await using stack = new AsyncDisposableStack();
      const [front, sender, door, tcp] = [
        await steadyPort(),
        await steadyPort(),
        await steadyPort(),
        await steadyPort(),
      ];
      const [plain, secure, direct, spare] = [
        await steadyPort(),
        await steadyPort(),
        await steadyPort(),
        await steadyPort(),
      ];
      const pair = testCertificate();
      const proxied = { address: `127.0.0.1:${door}`, proxyProtocol: '127.0.0.1' };
      const own = { active: true, secret: SECRET };
      const agent = { ...own, remote: `127.0.0.1:${direct}`, ca: testAuthority().certFile };
      const target = (url: string) => ({ targets: [{ target: url, proxyProtocol: version }] });
      const files = {
        'server/server.json5': JSON.stringify({
          listen: [proxied, `127.0.0.1:${direct}`],
          certificates: [{ hosts: ['*'], cert: pair.certFile, key: pair.keyFile }],
          log: { access: 'console' },
        }),
        [`server/domains/${HTTP}.json5`]: JSON.stringify({ ...own, clients: { networks: '127.0.0.0/28' } }),
        [`server/domains/${PASSED}.json5`]: JSON.stringify({
          active: true,
          tls: 'passthrough',
          target: `tcp://127.0.0.1:${secure}`,
          proxyProtocol: version,
        }),
        [`server/domains/${RAW}.json5`]: JSON.stringify({ ...own, listen: `127.0.0.1:${tcp}` }),
        'agent/agent.json5': '{}',
        [`agent/domains/${HTTP}.json5`]: JSON.stringify({ ...agent, ...target(`http://127.0.0.1:${plain}`) }),
        [`agent/domains/${RAW}.json5`]: JSON.stringify({ ...agent, ...target(`tcp://127.0.0.1:${plain}`) }),
      };
      await withFolder(files, async (folder) => {
        await runTool(
          'sh',
          ['-c', `chmod 755 ${folder}; cat > ${folder}/nginx.conf`],
          nginxConfig(folder, { plain, secure, sender, door }, pair),
        );
        const send = version === 1 ? 'send-proxy' : 'send-proxy-v2 proxy-v2-options unique-id,crc32c';
        const haproxy = haproxyConfig([
          { port: front, to: door, send },
          { port: spare, to: door, send: '' },
        ]);
        await runTool('sh', ['-c', `cat > ${folder}/haproxy.cfg`], haproxy);
        const nginx = await startDaemon('nginx', ['-p', folder, '-c', `${folder}/nginx.conf`], plain);
        stack.defer(() => nginx.stop());
        const balancer = await startDaemon('haproxy', ['-db', '-f', `${folder}/haproxy.cfg`], front);
        stack.defer(() => balancer.stop());
        const server = startCli(['server', '-c', `${folder}/server/server.json5`]);
        stack.defer(() => void server.child.kill('SIGKILL'));
        await server.see(/ready; /);
        const agentProgram = startCli(['agent', '-c', `${folder}/agent/agent.json5`]);
        stack.defer(() => void agentProgram.child.kill('SIGKILL'));
        for (const domain of [HTTP, RAW]) await server.see(new RegExp(`"tunnel-opened".*"domain":"${domain}"`));

        const at = (domain: string, port: number) => ['--resolve', `${domain}:${port}:127.0.0.1`];
        const through = (source: string, domain: string, port = front) =>
          visit(source, `https://${domain}:${port}/`, ...at(domain, port));
        for (const source of ['127.0.0.7', '127.0.0.8', '127.0.0.7']) {
          assert.match(await through(source, HTTP), new RegExp(`^${source} ${source} \\d+$`), 'HTTPS');
          assert.match(await through(source, PASSED), new RegExp(`^${source}  1$`), 'passthrough');
          assert.match(await visit(source, `http://127.0.0.1:${tcp}/`), new RegExp(`^${source}  1$`), 'TCP');
        }
        assert.match(
          await through('127.0.0.9', HTTP, sender),
          /^127\.0\.0\.9 127\.0\.0\.9 \d+$/,
          'HTTPS, behind nginx',
        );
        assert.match(await through('127.0.0.9', PASSED, sender), /^127\.0\.0\.9 {2}1$/, 'passthrough, behind nginx');
        assert.doesNotMatch(
          await through('127.0.0.77', HTTP),
          /127/,
          'access control judges the visitor, not the proxy',
        );
        assert.match(await through('127.0.0.7', HTTP, spare), /^curl/, 'no header');
        const spoofed = ['--haproxy-protocol', ...at(HTTP, door)];
        assert.match(await visit('127.0.0.9', `https://${HTTP}:${door}/`, ...spoofed), /^curl/, 'from elsewhere');
        // What a visitor met may be logged after it.
        await server.see(/"domain":"www.example.com".*"remote":"127\.0\.0\.7:\d+"/);
        await server.see(/"connection-refused","remote":"127\.0\.0\.1:\d+","reason":"proxy-header-invalid"/);
        await server.see(/"connection-refused","remote":"127\.0\.0\.9:\d+","reason":"proxy-untrusted"/);
        assert.equal(server.child.exitCode, null);
      });
    });
  }
});
