import assert from 'node:assert/strict';
import * as http from 'node:http';
import * as https from 'node:https';
import net from 'node:net';
import { describe, it } from 'node:test';
import type { ResolvedTarget } from '../../../src/agent/resolve-routes.ts';
import { checkTarget } from '../../../src/cli/doctor/target-checks.ts';
import { proxyHeader } from '../../../src/net/proxy-protocol.ts';
import { testCertificate } from '../../support/certificates.ts';
import { withListener } from '../../support/listen-on.ts';

/** Runs `body` with the port of a listener that takes nothing but a header of this version, and gives what follows it to `behind`. */
async function withProxied(version: 1 | 2, behind: net.Server, body: (port: number) => Promise<void>): Promise<void> {
  const header = proxyHeader(version, null, { address: '0.0.0.0', port: 443 });
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('readable', () => {
      const begin: Buffer | null = socket.read(header.length);
      if (begin === null || !begin.equals(header)) socket.destroy();
      else behind.emit('connection', socket);
    });
  });
  await withListener(server, body);
}

async function resultOf(target: ResolvedTarget, proxyProtocol: 1 | 2 | null): Promise<string | undefined> {
  const [finding] = await checkTarget({ domain: 'www.test', target, proxyProtocol }, 5_000);
  return finding?.result;
}

describe('a target that begins with a PROXY header', () => {
  for (const version of [1, 2] as const) {
    it(`of version ${version} is asked behind one, over HTTP and HTTPS`, async () => {
      const at = { host: '127.0.0.1' } as const;
      const answer: http.RequestListener = (_request, response) => response.end();
      await withProxied(version, http.createServer(answer), async (port) => {
        const target: ResolvedTarget = { ...at, kind: 'tcp', port, http: true };
        assert.equal(await resultOf(target, version), 'ok');
        assert.equal(await resultOf(target, null), 'warning');
      });
      const { cert, key } = testCertificate();
      await withProxied(version, https.createServer({ cert, key }, answer), async (port) => {
        const target: ResolvedTarget = { ...at, kind: 'https', port, verify: false, ca: null };
        assert.equal(await resultOf(target, version), 'ok');
        assert.equal(await resultOf(target, null), 'failed');
        // `http://` for what speaks TLS behind its header.
        assert.equal(await resultOf({ ...at, kind: 'tcp', port, http: true }, version), 'failed');
      });
    });
  }
});
