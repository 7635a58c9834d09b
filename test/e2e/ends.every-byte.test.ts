import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { visit } from '../support/http-visitor.ts';
import { type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const ANSWERS = {
  'with a length': 'HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 12\r\n\r\nhello, world',
  chunked:
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n6;ext=1\r\nhello,\r\n6\r\n world\r\n0\r\nSum: 1\r\n\r\n',
} as const;

let target: RawTarget;
let tunnel: Tunnel;
before(async () => {
  target = await startRawTarget();
  tunnel = await openTunnel({ target: target.port });
});
after(async () => {
  await tunnel?.close();
  await target.close();
});

/** Asks, lets the target send `part` and end; what the visitor made of it. POST, for that is never asked twice. */
async function answerCut(version: 'HTTP/1.1' | 'HTTP/2', part: string, how: 'fin' | 'reset') {
  const visitor = await visit(tunnel.frontDoor, { tls: true, version, method: 'POST', length: 0 });
  visitor.finish();
  const far = await target.next();
  await far.receivedText('\r\n\r\n');
  if (part !== '') await far.send(part);
  far[how]();
  const { verdict } = await within('the end of the answer', visitor.ending);
  const status = await visitor.status();
  const body = status === 0 ? '' : (await visitor.bytes()).toString();
  visitor.close();
  return { verdict, status, body };
}

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  for (const [what, answer] of Object.entries(ANSWERS)) {
    for (const how of ['fin', 'reset'] as const) {
      test(`an answer ${what} that ends (${how}) after any of its bytes but the last is not complete to ${version}`, async () => {
        for (let length = 0; length < answer.length; length += 1) {
          const { verdict, status } = await answerCut(version, answer.slice(0, length), how);
          const seen = `after ${length} bytes: ${verdict}, status ${status}`;
          // Without a head of the target's the server answers in its place.
          if (verdict === 'clean') assert.equal(status, 502, seen);
          assert.ok(status === 502 || status === 200 || status === 0, seen);
        }
        const whole = await answerCut(version, answer, 'fin');
        assert.deepEqual(whole, { verdict: 'clean', status: 200, body: 'hello, world' });
      });
    }
  }
}
