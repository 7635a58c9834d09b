import assert from 'node:assert/strict';
import { hello } from './client-hello.ts';
import { connectPeer } from './raw-target.ts';
import { CLEAN } from './verdict.ts';
import { within } from './within.ts';

/** What the front door answers to these bytes is an alert, which arrives, and nothing else: its code. */
export async function alertTo(port: number, bytes: Buffer): Promise<number> {
  const peer = await connectPeer(port);
  try {
    peer.stream.write(bytes, () => {});
    assert.deepEqual(await within('the end after the alert', peer.ending), CLEAN);
    assert.deepEqual(peer.bytes.subarray(0, 6), Buffer.of(0x15, 3, 3, 0, 2, 2));
    assert.equal(peer.length, 7);
    return peer.bytes[6] ?? 0;
  } finally {
    peer.close();
  }
}

/** As {@link alertTo}, for a ClientHello with this SNI. */
export function alertToName(port: number, serverName: string): Promise<number> {
  return alertTo(port, hello({ serverName }));
}
