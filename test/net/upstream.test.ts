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

const WRITE_MS = 1_400;
/** What a slow target takes in all, bytes, and in which time, ms: less than leaves this process in one step. */
const SLOW_BYTES = 640_000;
const SLOW_MS = 1_600;
const STEP_MS = 20;

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
    const handler = { upstreamFailed, upstreamDrain: () => send() } as unknown as UpstreamHandler;
    const upstream = new Upstream(socket, new HeaderRules({ drop: [] }));
    const chunk = Buffer.alloc(65_536);
    const send = (): void => {
      while (upstream.write(chunk));
    };
    const length = 1_000_000_000;
    const head = { method: 'POST', target: '/', headers: ['Host', 'a', 'Content-Length', String(length)] };
    upstream.start({ ...head, framing: length, upgrade: false }, handler, 0, WRITE_MS);
    const began = performance.now();
    send();
    let left = 0;
    // By the clock: on a busy machine some steps are late.
    for (let atMs = 0; atMs < SLOW_MS; ) {
      await new Promise((wake) => setTimeout(wake, STEP_MS));
      const nowMs = performance.now() - began;
      left += (Math.min(nowMs, SLOW_MS) - atMs) * (SLOW_BYTES / SLOW_MS);
      atMs = nowMs;
      while (left > 0) {
        const part = target.read(Math.min(Math.ceil(left), target.readableLength)) as Buffer | null;
        if (part === null) break;
        left -= part.length;
      }
    }
    const { code, afterMs } = await within('the cut', failed);
    assert.equal(code, 'target-stalled');
    assert.ok(afterMs > SLOW_MS, `${afterMs} ms`);
  }),
);
