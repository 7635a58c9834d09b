import assert from 'node:assert/strict';
import type { DialOptions } from '../../src/core/dial.ts';
import { paced } from '../support/abort-storm.ts';
import { testAuthority } from '../support/certificates.ts';
import { FakeServer } from '../support/fake-server.ts';
import { startPinger } from '../support/pinger.ts';
import { startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { DOMAIN, SECRET } from '../support/with-tunnel.ts';
import { measure, told } from './storm-figures.ts';
import { startStormTarget } from './storm-target.ts';

const MAX_IN_FLIGHT = 100;

/**
 * The storm as a tunnel has it, without the visitors: one process opens streams by the code of a server and resets each, behind
 * its HEADERS, in a tunnel of a real agent. It is the agent's HTTP/2 that gives a session up when streams are reset.
 */
export async function stormInTunnel(storm: { visitors: number; perSecond: number }): Promise<string> {
  const targetPort = await steadyPort();
  const target = await startStormTarget('answer', targetPort);
  const server = new FakeServer();
  const flags = ['--server', `127.0.0.1:${await server.listen()}`, '--domain', DOMAIN, '--secret', SECRET];
  const agent = startCli(['tcp', String(targetPort), ...flags, '--ca', testAuthority().certFile, '-q']);
  try {
    await server.untilLive(2);
    const tunnel = server.tunnels[0] ?? assert.fail();
    const options: DialOptions = { way: 'tcp', transaction: 'storm', client: '192.0.2.1:1' };
    const pinger = startPinger(await tunnel.open(DOMAIN, options));
    const spent = measure({ agent: agent.child.pid ?? 0 });
    let [open, early, answered] = [0, 0, 0];
    const begun = performance.now();
    await paced(storm, {
      begin() {
        open += 1;
        const visitor = new AbortController();
        const stream = tunnel.open(DOMAIN, { ...options, signal: visitor.signal });
        setImmediate(() => visitor.abort());
        const streamOnOpen = (opened: Awaited<typeof stream>) => {
          answered += 1;
          opened.destroy(new Error('the visitor went away'));
        };
        void stream
          .then(streamOnOpen, () => {
            early += 1;
          })
          .finally(() => {
            open -= 1;
          });
      },
      hasRoom: () => open < MAX_IN_FLIGHT,
      isOver: () => open === 0,
    });
    const pings = await pinger.stop();
    // Answered behind all that came before it: resets that only wait in the tunnel do not count as borne.
    const last = await tunnel.open(DOMAIN, options);
    last.destroy();
    const seconds = (performance.now() - begun) / 1_000;
    assert.ok(tunnel.usable && server.handshakes.length === 2, 'the agent gave a tunnel up');
    const rate = Math.round((early + answered) / seconds);
    const resets = `${early + answered} resets in one tunnel, ${rate} a second (${answered} of them once it was open)`;
    return [resets, spent(early + answered, seconds), told(pings)].join('; ');
  } finally {
    await agent.end('SIGKILL');
    server.close();
    target.kill('SIGKILL');
  }
}
