import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { visitorHeader } from '../../src/net/proxy-protocol.ts';
import { connectPeer } from '../support/raw-target.ts';
import { startDaemon } from '../support/real-program.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { within } from '../support/within.ts';

const config = (port: number) => `defaults
  mode http
  timeout client 10s
  timeout connect 10s
  timeout server 10s
frontend f
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "<%[src]>"
`;

test('HAProxy takes the headers of visitors who are known, and of those who are not', {
  skip: missingTools('haproxy'),
}, async () => {
  const port = await steadyPort();
  await withFolder({ 'haproxy.cfg': config(port) }, async (folder) => {
    const haproxy = await startDaemon('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], port);
    try {
      for (const version of [1, 2] as const) {
        for (const [visitor, seen] of [
          ['203.0.113.7:51442', '203.0.113.7'],
          ['[2001:db8::7]:51442', '2001:db8::7'],
          ['unix', '127.0.0.1'],
          [null, '127.0.0.1'],
        ] as const) {
          const peer = await connectPeer(port);
          await peer.send(visitorHeader(version, { visitor, arrivedAt: null }));
          await peer.send('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
          await within('the answer', peer.ending);
          assert.match(peer.text, new RegExp(`^HTTP/1\\.1 200 .*<${seen}>$`, 's'), `${visitor}, version ${version}`);
          peer.close();
        }
      }
    } finally {
      await haproxy.stop();
    }
  });
});
