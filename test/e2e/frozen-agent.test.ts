import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deployment } from '../support/deployment.ts';
import { startHttpTarget } from '../support/http-target.ts';
import { visit } from '../support/http-visitor.ts';
import { bringUnderWay } from '../support/in-flight.ts';
import { connectPeer } from '../support/raw-target.ts';
import { eventually, within } from '../support/within.ts';

/** The design promises 10 s: 5 s until a PING, 5 s until it counts as unanswered. The rest is for busy machines. */
const KNOWN_WITHIN_MS = 20_000;

test('a stopped agent is known within 10 s, nothing of it hangs, and it comes back when it runs again', async () => {
  const target = await startHttpTarget();
  const deployment = await Deployment.start({ targetPort: target.port });
  try {
    const { frontDoor, tcp } = deployment;
    const stream = await connectPeer(tcp);
    const inFlight = await bringUnderWay(frontDoor, target);
    deployment.agent.child.kill('SIGSTOP');
    const stoppedAt = performance.now();
    const left = () => KNOWN_WITHIN_MS - (performance.now() - stoppedAt);
    const late = await visit(frontDoor, { tls: true, version: 'HTTP/2', path: '/late' });
    await inFlight.endsVisibly(left());
    const { verdict } = await within('the end of a TCP stream', stream.ending, left());
    assert.equal(verdict, 'reset');
    assert.equal((await within('the end of a late request', late.ending, left())).verdict, 'clean');
    assert.equal(await late.status(), 504);
    await deployment.server.see(/"event":"tunnel-closed".*"reason":"silent"/);

    deployment.agent.child.kill('SIGCONT');
    await eventually('a tunnel again', () =>
      /"tunnel-opened".*"live":2[\s\S]*"tunnel-opened".*"live":2/.test(deployment.server.output().stdout),
    );
    // What woke up does not take its end for a farewell, and waits for nobody.
    await deployment.agent.see(/"event":"tunnel-closed".*"reason":"lost".*heard nothing from this one/);
    assert.doesNotMatch(deployment.agent.output().stdout, /"reason":"peer-drained"/);
    const back = await visit(frontDoor, { tls: true, version: 'HTTP/2', path: '/back' });
    const exchange = await target.next('/back');
    exchange.respond('length', 2);
    await exchange.send('ok');
    exchange.finish();
    assert.equal((await within('an answer', back.ending)).verdict, 'clean');
    for (const one of [late, back, stream]) one.close();
    inFlight.close();
  } finally {
    await deployment.close();
    await target.close();
  }
});
