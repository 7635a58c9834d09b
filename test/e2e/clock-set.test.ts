import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { visit } from '../support/curl.ts';
import { listenOn } from '../support/listen-on.ts';
import { missingTools } from '../support/tools.ts';
import { DOMAIN, withTunnel } from '../support/with-tunnel.ts';

const HOUR_MS = 3_600_000;

describe('a clock that is set while the server runs', { skip: missingTools('curl') }, () => {
  it('changes no duration of what is under way, and is right in what begins then, over HTTP too', async (t) => {
    const target = http.createServer((_request, response) => response.end('hello'));
    const port = await listenOn(target);
    try {
      await withTunnel({ target: port }, async ({ server, frontDoor, tcp, serverEvents }) => {
        const visitor = net.connect({ port: tcp, host: '127.0.0.1' });
        visitor.on('error', () => {});
        await once(visitor, 'connect');
        await serverEvents.wait('dialled', () => true);
        const later = Date.now() + HOUR_MS;
        t.mock.timers.enable({ apis: ['Date'], now: later });
        visitor.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        visitor.resume().once('end', () => visitor.end());
        const stream = await serverEvents.wait('access', ({ record }) => record.way === 'tcp');
        assert.ok(
          stream.record.durationMs >= 0 && stream.record.durationMs < HOUR_MS / 2,
          `${stream.record.durationMs}`,
        );
        for (const version of ['--http1.1', '--http2']) {
          await visit(DOMAIN, frontDoor, `/${version}`, [version, '--insecure']);
          const { record } = await serverEvents.wait('access', ({ record: { path } }) => path === `/${version}`);
          assert.ok(record.start >= later && record.start < later + HOUR_MS, `${version}: ${record.start - later}`);
          assert.ok(record.durationMs >= 0 && record.durationMs < HOUR_MS / 2, `${record.durationMs}`);
        }
        await server.close();
        const { lifetimeMs } = await serverEvents.wait('tunnel-closed', () => true);
        assert.ok(lifetimeMs >= 0 && lifetimeMs < HOUR_MS / 2, `${lifetimeMs}`);
      });
    } finally {
      target.close();
    }
  });
});
