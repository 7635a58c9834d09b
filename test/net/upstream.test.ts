import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import test from 'node:test';
import type { BackdialError } from '../../src/core/errors.ts';
import { HeaderRules } from '../../src/net/header-rules.ts';
import { Upstream } from '../../src/net/upstream.ts';
import type { UpstreamHandler } from '../../src/net/upstream-handler.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

const WRITE_MS = 700;
/** What a slow target takes at a time, bytes, how often, ms, and for how long: less than leaves this process in one step. */
const STEP_BYTES = 20_000;
const STEP_MS = 50;
const STEPS = 32;

test(
  'a target that takes some of an upload now and then is not stalled, however long the kernel keeps that to itself',
  undisturbed(async () => {
    await using server = net.createServer({ highWaterMark: 4_096 } as net.ServerOpts).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const socket = net.connect({ host: '127.0.0.1', port });
    const [[target]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
      [net.Socket],
      unknown,
    ];
    target.on('error', () => {});
    using _closed = { [Symbol.dispose]: () => void target.destroy() };
    const { promise: failed, resolve } = Promise.withResolvers<{ code: string; afterMs: number }>();
    const upstreamFailed = ({ code }: BackdialError): void => resolve({ code, afterMs: performance.now() - began });
    const handler = { upstreamFailed } as unknown as UpstreamHandler;
    const upstream = new Upstream(socket, new HeaderRules({ drop: [] }));
    const body = Buffer.alloc(20_000_000);
    const headers = ['Host', 'a', 'Content-Length', String(body.length)];
    upstream.start(
      { method: 'POST', target: '/', headers, framing: body.length, upgrade: false },
      handler,
      0,
      WRITE_MS,
    );
    const began = performance.now();
    assert.equal(upstream.write(body), false);
    for (let step = 0; step < STEPS; step += 1) {
      for (let left = STEP_BYTES; left > 0; ) {
        const chunk = target.read(Math.min(left, target.readableLength)) as Buffer | null;
        if (chunk === null) break;
        left -= chunk.length;
      }
      await new Promise((wake) => setTimeout(wake, STEP_MS));
    }
    const { code, afterMs } = await within('the cut', failed);
    assert.equal(code, 'target-stalled');
    assert.ok(afterMs > STEPS * STEP_MS, `${afterMs} ms`);
  }),
);
