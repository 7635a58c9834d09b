import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { unacknowledgedBytes } from '../../src/net/kernel-queue.ts';
import { connectedPair } from '../support/connected-pair.ts';
import { withFolder } from '../support/with-folder.ts';

/** Readings are shared for a moment: what is told may be as old. */
async function untilHeld(socket: Socket, isSo: (bytes: number | null) => boolean): Promise<void> {
  for (let looks = 0; looks < 2_000; looks += 1) {
    const bytes = await unacknowledgedBytes(socket);
    if (isSo(bytes)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`the kernel holds ${await unacknowledgedBytes(socket)} bytes`);
}

const HOSTS = [
  { listen: '127.0.0.1', from: '127.0.0.1' },
  { listen: '::1', from: '::1' },
  // As a listener for both families sees who comes over IPv4.
  { listen: '::', from: '127.0.0.1' },
];

for (const { listen, from } of HOSTS) {
  test(`what the kernel holds for a connection from ${from} to ${listen} is told, at both ends, until it was taken`, async () => {
    await using ends = await connectedPair({ host: listen, port: 0 }, from);
    for (const [sender, receiver] of [
      [ends.near, ends.far],
      [ends.far, ends.near],
    ] as const) {
      receiver.pause();
      await untilHeld(sender, (bytes) => bytes === 0);
      sender.write(Buffer.alloc(20_000_000));
      await untilHeld(sender, (bytes) => (bytes ?? 0) > 100_000);
      receiver.resume();
      await untilHeld(sender, (bytes) => bytes === 0);
    }
  });
}

test('of a Unix socket, of one that is closed and of a stream that is none, nothing is told', async () => {
  await withFolder({}, async (folder) => {
    const path = join(folder, 'socket');
    await using unix = await connectedPair({ path });
    assert.equal(await unacknowledgedBytes(unix.near), null);
    await using tcp = await connectedPair();
    tcp.near.destroy();
    assert.equal(await unacknowledgedBytes(tcp.near), null);
    assert.equal(await unacknowledgedBytes({}), null);
    assert.equal(await unacknowledgedBytes({ ...PORTS, localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' }), null);
    assert.equal(await unacknowledgedBytes({ ...PORTS, localAddress: '127.0.0.1', remoteAddress: '::1' }), null);
  });
});

const PORTS = { localPort: 1, remotePort: 1 };
