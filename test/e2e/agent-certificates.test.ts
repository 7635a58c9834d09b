import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import * as https from 'node:https';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import {
  type AgentDomainOptions,
  type BackdialEvent,
  createAgent,
  type DomainOptions,
  Secret,
} from '../../src/index.ts';
import { AgentPki } from '../support/agent-pki.ts';
import { testAuthority } from '../support/certificates.ts';
import { startCli } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { createPatientAgent } from '../support/with-agent.ts';
import { withFolder } from '../support/with-folder.ts';
import { startServer, type TestServer } from '../support/with-server.ts';
import { eventually, within } from '../support/within.ts';

const skip = missingTools('openssl');
const SECRET = 'a secret of enough bytes';

async function withServer(domains: readonly DomainOptions[], body: (server: TestServer) => Promise<void>) {
  const server = await startServer({ domains });
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

/** Starts an agent and gives `in`, or the reason and its detail in the server's log. */
async function attempt(server: TestServer, domain: Partial<AgentDomainOptions>): Promise<string> {
  const name = domain.name ?? 'www.test';
  const remote = [`127.0.0.1:${server.port}`];
  const own = { instance: 'web-1', connections: 1, ca: testAuthority().cert, handler: () => new Response('ok') };
  // What became of a second time would be taken for the answer to the next one's first.
  const agent = createPatientAgent({ domains: [{ name, remote, ...own, ...domain }] });
  const from = server.events.all.length;
  const isAnswer = ({ type }: BackdialEvent) => type === 'tunnel-opened' || type === 'handshake-refused';
  try {
    agent.start();
    await eventually('an answer', () => server.events.all.slice(from).some(isAnswer));
    const answer = server.events.all.slice(from).find(isAnswer);
    return answer?.type === 'handshake-refused' ? `${answer.reason}: ${answer.detail}` : 'in';
  } finally {
    await agent.close({ drainMs: 0 });
  }
}

/** A handshake with neither secret nor certificate: the status, and what the server's log has of it. */
async function handshakeWithout(server: TestServer): Promise<[number | undefined, string]> {
  const from = server.events.all.length;
  const headers = { Connection: 'Upgrade', Upgrade: 'ptth', ALPN: 'h2', 'Backdial-Domain': 'www.test' };
  const path = '/.well-known/backdial-agent';
  const request = https.get({ host: '127.0.0.1', port: server.port, path, headers, rejectUnauthorized: false });
  const [response] = (await within('an answer', once(request, 'response'))) as [IncomingMessage];
  response.resume();
  const { reason, detail } = await server.events.wait('handshake-refused', () => true, { from });
  return [response.statusCode, `${reason}: ${detail}`];
}

describe('an agent with a certificate', () => {
  it('is let in by its names alone: of the domain, of the instance, of any instance; no secret is needed', async () => {
    const pki = await AgentPki.make();
    await withServer([{ name: 'www.test', secrets: [], certificates: pki.pem }], async (server) => {
      for (const names of [['www.test'], ['other.test', 'web-1.www.test'], ['*.www.test'], ['*.test']]) {
        assert.equal(await attempt(server, await pki.issue(names)), 'in', names.join());
      }
    });
  });

  it('is refused for every fault, each told in the log of the server and nowhere else', async () => {
    const [pki, other] = [await AgentPki.make(), await AgentPki.make()];
    const revoked = await pki.issue(['www.test']);
    const domain = { name: 'www.test', secrets: [new Secret(SECRET)], certificates: await pki.revoking(revoked) };
    await withServer([domain], async (server) => {
      const faults: [Partial<AgentDomainOptions>, RegExp][] = [
        [
          await pki.issue(['web-2.www.test', 'www.example']),
          /is for web-2\.www\.test, www\.example; needed: www\.test or web-1\.www\.test$/,
        ],
        [await pki.issue(['*.web-1.www.test']), /needed: www\.test or web-1\.www\.test$/],
        [await pki.issue(['www.test'], { days: -0.01 }), /CN=www\.test ended on \d/],
        [revoked, /CN=www\.test was revoked on \d/],
        [await other.issue(['www.test']), /is of none of the authorities \(issuer CN=agents\)/],
        [await pki.issue(['www.test'], { kind: 'server' }), /is not one for clients/],
      ];
      for (const [proof, detail] of faults) {
        const told = await attempt(server, proof);
        assert.match(told, /^agent-certificate: /);
        assert.match(told, detail);
      }
      assert.match(await attempt(server, { secret: new Secret('x'.repeat(20)) }), /^secret-wrong: /);
      // Either of the two will do.
      assert.equal(await attempt(server, { ...(await other.issue(['www.test'])), secret: new Secret(SECRET) }), 'in');
      assert.equal(await attempt(server, { secret: new Secret(SECRET) }), 'in');
    });
  });

  it('that shows none is told so in the log of the server, whether or not it has a secret', async () => {
    const pki = await AgentPki.make();
    await withServer([{ name: 'www.test', secrets: [], certificates: pki.pem }], async (server) => {
      assert.match(
        await attempt(server, { secret: new Secret(SECRET) }),
        /^agent-certificate: .*no certificate was shown/,
      );
      const [status, told] = await handshakeWithout(server);
      assert.equal(status, 404);
      assert.match(told, /^agent-certificate: .*no certificate was shown/);
    });
  });

  it('is of no use for a domain that asks for none, or for another authority', async () => {
    const [one, two] = [await AgentPki.make('one'), await AgentPki.make('two')];
    const domains = [
      { name: 'www.test', secrets: [], certificates: one.pem },
      { name: 'two.test', secrets: [], certificates: two.pem },
      { name: 'plain.test', secrets: [new Secret(SECRET)] },
    ];
    await withServer(domains, async (server) => {
      const proof = await one.issue(['www.test', 'two.test', 'plain.test']);
      assert.match(
        await attempt(server, { name: 'two.test', ...proof }),
        /^agent-certificate: .*none of the authorities/,
      );
      assert.match(await attempt(server, { name: 'plain.test', ...proof }), /^secret-missing: /);
      assert.match(await attempt(server, { name: 'nobody.test', ...proof }), /^domain-unknown: /);
      assert.equal(await attempt(server, proof), 'in');
    });
  });

  it('is cut when a new list revokes it, and the others stay', async () => {
    const pki = await AgentPki.make();
    const [bad, good] = [await pki.issue(['*.www.test']), await pki.issue(['*.www.test'])];
    const domain = { name: 'www.test', secrets: [], certificates: await pki.revoking() };
    await withServer([domain], async (server) => {
      const common = {
        name: 'www.test',
        remote: [`127.0.0.1:${server.port}`],
        ca: testAuthority().cert,
        connections: 1,
      };
      const start = (instance: string, proof: typeof bad) =>
        createAgent({ domains: [{ ...common, ...proof, instance }], handler: () => new Response('ok') });
      const agents = [start('bad', bad), start('good', good)];
      try {
        for (const agent of agents) {
          agent.start();
          await within('a tunnel', agent.ready);
        }
        await server.apply({ domains: [{ ...domain, certificates: await pki.revoking(bad) }] });
        const { tunnel, reason, detail } = await server.events.wait('tunnel-closed', () => true, {
          deadlineMs: 20_000,
        });
        assert.deepEqual([tunnel.instance, reason], ['bad', 'removed']);
        assert.match(detail ?? '', /was revoked on/);
        assert.deepEqual(
          server.server.tunnels().map(({ instance }) => instance),
          ['good'],
        );
      } finally {
        await Promise.all(agents.map((agent) => agent.close({ drainMs: 0 })));
      }
    });
  });

  it('is warned about 14 days before the end, once, and its tunnel tells when that is', async () => {
    const pki = await AgentPki.make();
    await withServer([{ name: 'www.test', secrets: [], certificates: pki.pem }], async (server) => {
      const short = await pki.issue(['www.test'], { days: 13 });
      assert.equal(await attempt(server, await pki.issue(['www.test'], { days: 15 })), 'in');
      assert.equal(await attempt(server, short), 'in');
      assert.equal(await attempt(server, short), 'in');
      const warnings = server.events.of('warning').filter(({ code }) => code === 'agent-certificate');
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]?.message ?? '', /^www\.test: the certificate of the agent web-1 ends on \d{4}-/);
      const [{ tunnel } = assert.fail()] = server.events.of('tunnel-opened');
      const inDays = ((tunnel.certificateEndsAt ?? 0) - Date.now()) / 86_400_000;
      assert.ok(inDays > 14.9 && inDays < 15.1);
    });
  });

  it("is in the metrics of its agent's API with its end", async () => {
    const { certificate, key } = await (await AgentPki.make()).issue(['www.test'], { days: 20 });
    const domain = {
      active: true,
      remote: '127.0.0.1:1',
      certificate: '../a.pem',
      key: '../a.key',
      ports: { 22: '22' },
    };
    const files = {
      'agent.json5': '{ api: { listen: "unix:api.sock" } }',
      'a.pem': certificate,
      'a.key': key.reveal(),
      'domains/www.test.json5': JSON.stringify(domain),
    };
    await withFolder(files, async (folder) => {
      const agent = startCli(['agent', '-c', `${folder}/agent.json5`]);
      try {
        await agent.see(/"event":"dial-failed"/);
        const asked = request({ socketPath: `${folder}/api.sock`, path: '/metrics', headers: { Host: 'localhost' } });
        const [response] = await within('metrics', once(asked.end(), 'response'));
        const [, ends] = /^backdial_certificate_not_after_timestamp_seconds\{hosts="www\.test"\} (\d+)$/m.exec(
          await text(response),
        ) ?? [null, ''];
        assert.ok(Math.abs(Number(ends) - Date.now() / 1_000 - 20 * 86_400) < 60);
      } finally {
        await agent.end('SIGKILL');
      }
    });
  });

  it('proves an identity of the grants that names it, under the authorities of the domain that is claimed', async () => {
    const pki = await AgentPki.make();
    const domains = [{ name: '*.dev.test', secrets: [], certificates: pki.pem }];
    const grants = [{ identity: 'ci', secrets: [], certificate: '*.ops.test', domains: ['*.dev.test'] }];
    const server = await startServer({ domains, grants });
    try {
      assert.equal(await attempt(server, { name: 'a.dev.test', ...(await pki.issue(['one.ops.test'])) }), 'in');
      const told = await attempt(server, { name: 'a.dev.test', ...(await pki.issue(['one.sales.test'])) });
      assert.match(told, /^agent-certificate: .*: the certificate is for one\.sales\.test/);
    } finally {
      await server.close();
    }
  });
});

describe('strangers', () => {
  /** Whether a client is asked for a certificate; what it is told of authorities. */
  async function questionOf(port: number, servername: string, more: readonly string[]): Promise<string> {
    // In TLS 1.2 the request is in the clear.
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', servername, '-tls1_2', '-msg', ...more];
    const child = spawn(findTool('openssl'), args, { stdio: ['pipe', 'pipe', 'ignore'] });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      shown += part;
      if (/Verify return code/.test(shown)) child.stdin.end();
    });
    await within('the end of openssl', once(child, 'close'));
    assert.match(shown, /ServerHello/);
    return `${shown.includes('CertificateRequest')}, ${/Acceptable client certificate CA names/.test(shown)}`;
  }

  it('are not told by the handshake which domains take certificates, or that there are any', { skip }, async () => {
    const pki = await AgentPki.make();
    const plain = { name: 'plain.test', secrets: [new Secret(SECRET)] };
    const answers: string[] = [];
    for (const domains of [[plain, { name: 'www.test', secrets: [], certificates: pki.pem }], [plain]]) {
      await withServer(domains, async ({ port }) => {
        for (const name of ['www.test', 'plain.test', 'nobody.test']) {
          const [bare, browser] = await Promise.all([
            questionOf(port, name, []),
            questionOf(port, name, ['-alpn', 'h2,http/1.1']),
          ]);
          answers.push(`${bare}; ${browser}`);
        }
      });
    }
    // Whoever could be an agent is asked, browsers never are, and no authority is named.
    assert.deepEqual(answers, Array(6).fill('true, false; false, false'));
  });
});
