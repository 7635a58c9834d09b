import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { BackdialError, type ErrorCode } from '../../src/index.ts';
import { type EchoTarget, greetingOf, startEchoTarget } from '../support/echo-target.ts';
import { listenOn } from '../support/listen-on.ts';
import { DOMAIN, openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

/** Rounds of two dials at the same time. */
const ROUNDS = 300;

describe('server.dial()', () => {
  let one: EchoTarget;
  let two: EchoTarget;
  let silent: net.Server;
  let tunnel: Tunnel;

  before(async () => {
    [one, two] = [await startEchoTarget('one'), await startEchoTarget('two')];
    // Accepts, and never answers the TLS handshake that the agent begins.
    silent = net.createServer((socket) => socket.on('error', () => {}));
    const port = await listenOn(silent);
    const closed = net.createServer();
    const refused = await listenOn(closed);
    await new Promise((resolve) => closed.close(resolve));
    tunnel = await openTunnel({
      target: one.address,
      server: { inactive: ['off.test'] },
      agentDomain: {
        ports: {
          1001: one.address,
          1002: two.address,
          1003: { kind: 'https', host: '127.0.0.1', port },
          1004: { kind: 'tcp', host: '127.0.0.1', port: refused },
        },
      },
    });
  });
  after(async () => {
    await tunnel.close();
    silent.close();
    one.close();
    two.close();
  });

  const fails = (dial: Promise<unknown>, code: ErrorCode) =>
    assert.rejects(within(code, dial, 20_000), (error) => error instanceof BackdialError && error.code === code);
  const streams = () => tunnel.server.tunnels().reduce((sum, live) => sum + live.stats().streams, 0);

  it('reaches a domain, an instance, and each of their ports', async () => {
    const names = {
      [DOMAIN]: 'one',
      [`${DOMAIN}:1002`]: 'two',
      [`first.${DOMAIN}`]: 'one',
      [`first.${DOMAIN}:1002`]: 'two',
    };
    for (const [name, greeting] of Object.entries(names)) {
      const stream = await tunnel.server.dial(name);
      assert.equal(await greetingOf(stream), greeting, name);
      stream.end('bye');
      assert.equal(String(await within('the end', stream.toArray())), 'bye');
    }
  });

  it('never swaps two dials at the same time to two ports of one instance', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const dials = [1001, 1002].map(async (port) => {
        const stream = await tunnel.server.dial(`first.${DOMAIN}:${port}`);
        const greeting = await greetingOf(stream);
        stream.destroy(new Error('enough'));
        return greeting;
      });
      assert.deepEqual(await Promise.all(dials), ['one', 'two']);
    }
  });

  it('fails at once, with a code that says why', async () => {
    const { server } = tunnel;
    await fails(server.dial('nobody.test'), 'domain-unknown');
    await fails(server.dial('nobody.test', { waitMs: 60_000 }), 'domain-unknown');
    await fails(server.dial('off.test', { waitMs: 60_000 }), 'domain-inactive');
    await fails(server.dial(`second.${DOMAIN}`), 'domain-unserved');
    await fails(server.dial(`${DOMAIN}:9`), 'port-unknown');
    await fails(server.dial(`${DOMAIN}:1004`), 'target-refused');
    for (const name of ['', 'a b', '*', `${DOMAIN}:99999999`, '../x']) await fails(server.dial(name), 'name-invalid');
  });

  it('waits for a name that is to be served, as long as it is told', async () => {
    const waiting = tunnel.server.dial(`late.${DOMAIN}`, { waitMs: 15_000 });
    await tunnel.addAgent('late', two.address);
    const late = await within('the dial', waiting);
    assert.equal(await greetingOf(late), 'two');
    late.destroy(new Error('enough'));
    const began = performance.now();
    await fails(tunnel.server.dial(`never.${DOMAIN}`, { waitMs: 50 }), 'domain-unserved');
    const took = performance.now() - began;
    assert.ok(took >= 49 && took < 20_000, `${took} ms`);
  });

  it('is aborted in every phase, with the reason as cause', async () => {
    const phases: Record<string, [name: string, waitMs: number]> = {
      'while it waits for the name': [`never.${DOMAIN}`, 60_000],
      'while the agent connects': [`${DOMAIN}:1003`, 0],
    };
    for (const [phase, [name, waitMs]] of Object.entries(phases)) {
      const abort = new AbortController();
      const dial = tunnel.server.dial(name, { waitMs, signal: abort.signal });
      // By then the agent is at it.
      setTimeout(() => abort.abort(new Error('changed my mind')), 30);
      const error = await dial.then(
        () => assert.fail(),
        (thrown: BackdialError) => thrown,
      );
      assert.equal(error.code, 'dial-aborted', phase);
      assert.equal((error.cause as Error).message, 'changed my mind', phase);
      assert.equal(getEventListeners(abort.signal, 'abort').length, 0, phase);
    }
    await fails(tunnel.server.dial(DOMAIN, { signal: AbortSignal.abort() }), 'dial-aborted');
    await fails(tunnel.server.dial('nobody.test', { signal: AbortSignal.abort() }), 'dial-aborted');
    // What is open is the caller's.
    const abort = new AbortController();
    const stream = await tunnel.server.dial(DOMAIN, { signal: abort.signal });
    abort.abort();
    assert.equal(await greetingOf(stream), 'one');
    stream.end('still here');
    assert.equal(String(await within('the end', stream.toArray())), 'still here');
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  });

  it('leaves nothing behind when it is cancelled: no stream, no listener, no handle', async () => {
    const handles = () => process.getActiveResourcesInfo().filter((name) => /Socket|TCP|Timeout/.test(name)).length;
    await eventually('calm', () => streams() === 0);
    const abort = new AbortController();
    const counts = () => ({
      streams: streams(),
      abort: getEventListeners(abort.signal, 'abort').length,
      handles: handles(),
    });
    const before_ = counts();
    for (let round = 0; round < 20; round += 1) {
      const cancel = new AbortController();
      const dials = Array.from({ length: 20 }, (_, index) => {
        const name = index % 2 === 0 ? `${DOMAIN}:1003` : `never.${DOMAIN}`;
        return tunnel.server.dial(name, { waitMs: 30_000, signal: AbortSignal.any([cancel.signal, abort.signal]) });
      });
      const settled = Promise.allSettled(dials);
      setImmediate(() => cancel.abort());
      assert.ok(
        (await settled).every((result) => result.status === 'rejected' && result.reason.code === 'dial-aborted'),
      );
    }
    await eventually('nothing is left', () => {
      const now = counts();
      return now.streams === before_.streams && now.abort <= before_.abort && now.handles <= before_.handles;
    });
  });

  it('ends all who wait when the server closes', async () => {
    const other = await openTunnel({ target: one.address });
    const waiting = fails(other.server.dial(`never.${DOMAIN}`, { waitMs: 60_000 }), 'tunnel-draining');
    await other.close();
    await waiting;
  });
});
