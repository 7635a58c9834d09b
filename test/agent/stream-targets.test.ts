import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ResolvedTarget } from '../../src/agent/resolve-routes.ts';
import { StreamTargets } from '../../src/agent/stream-targets.ts';
import type { TargetConnections } from '../../src/agent/target-connections.ts';
import type { StreamHead } from '../../src/tunnel/types.ts';
import { startRawTarget } from '../support/raw-target.ts';
import { testRoute, testTargets } from '../support/routes.ts';
import { within } from '../support/within.ts';

const HEAD: StreamHead = {
  authority: 'www.test:8443',
  way: 'https',
  http: true,
  client: '203.0.113.7:51442',
  transaction: 't',
};
const member = (port: number) => ({ target: { kind: 'tcp', host: '127.0.0.1', port } satisfies ResolvedTarget });

/** What a target that is connected to hears first. */
async function heard(connectionsTo: (port: number) => TargetConnections): Promise<string> {
  const target = await startRawTarget();
  try {
    const socket = await connectionsTo(target.port).connect({ timeoutMs: 30_000 });
    socket.end('GET');
    const peer = await target.next();
    await within('the end of the connection', peer.ending);
    return peer.text;
  } finally {
    await target.close();
  }
}

describe('the targets of one stream', () => {
  it('are those of all, where nobody is told the address of the visitor', () => {
    const shared = testTargets([testRoute(member(1).target)]);
    const one = member(1);
    const [first, second] = [new StreamTargets(shared, HEAD), new StreamTargets(shared, { ...HEAD, client: null })];
    assert.equal(first.connectionsTo(one, null), second.connectionsTo(one, null));
    assert.equal(first.connectionsTo(one, null), shared.connectionsTo(one));
    shared.close();
  });

  it('are its own where they are told it: the same for all of its exchanges, another for each target and stream', () => {
    const shared = testTargets([testRoute(member(1).target)]);
    const [one, other] = [member(1), member(2)];
    const [first, second] = [new StreamTargets(shared, HEAD), new StreamTargets(shared, HEAD)];
    assert.equal(first.connectionsTo(one, 1), first.connectionsTo(one, 1));
    const all = [first.connectionsTo(one, 1), first.connectionsTo(other, 1), second.connectionsTo(one, 1)];
    assert.equal(new Set([...all, shared.connectionsTo(one)]).size, 4);
    for (const each of [first, second]) each.close();
    shared.close();
  });

  it('are told the visitor and the port that was asked for, in front of all else', async () => {
    const shared = testTargets([]);
    const ofStream = (head: Partial<StreamHead>) => new StreamTargets(shared, { ...HEAD, ...head });
    const line = await heard((port) => ofStream({}).connectionsTo(member(port), 1));
    assert.match(line, /^PROXY TCP4 203\.0\.113\.7 \S+ 51442 8443\r\nGET$/);
    const binary = await heard((port) => ofStream({}).connectionsTo(member(port), 2));
    assert.ok(binary.startsWith('\r\n\r\n\0\r\nQUIT\n\x21\x11') && binary.endsWith('GET'), JSON.stringify(binary));
    const unknown = await heard((port) => ofStream({ client: null }).connectionsTo(member(port), 1));
    assert.equal(unknown, 'PROXY UNKNOWN\r\nGET');
    shared.close();
  });
});
