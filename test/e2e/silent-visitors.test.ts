import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startHttpTarget } from '../support/http-target.ts';
import { visit } from '../support/http-visitor.ts';
import { SilentVisitors } from '../support/silent-visitors.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { withTunnel } from '../support/with-tunnel.ts';

/** The long form, 10,000 of them, is `npm run soak -- silent`. */
const COUNT = 1_000;

it(
  'visitors who connect and say nothing keep nobody out, and are told that their time is over',
  undisturbed(async () => {
    await using target = await startHttpTarget();
    await withTunnel({ target: target.port, server: { readTimeoutMs: 6_000 } }, async (tunnel) => {
      const silent = await SilentVisitors.open(tunnel.frontDoor, COUNT);
      try {
        await tunnel.addAgent('second');
        const path = '/beside-them';
        const visitor = await visit(tunnel.frontDoor, { tls: true, version: 'HTTP/2', path });
        (await target.next(path)).respond('length', 0);
        assert.equal((await visitor.head()).status, 200);
        visitor.close();
        assert.equal(silent.ended, 0, 'all of them were there meanwhile');
        await silent.allEnded(60_000);
        assert.deepEqual([...silent.alerts], [[90, COUNT]]);
        const told = tunnel.serverEvents.of('connection-refused');
        assert.deepEqual([told.length, told[0]?.reason], [100, 'hello-timeout'], 'the log is spared');
      } finally {
        silent.close();
      }
    });
  }),
);
