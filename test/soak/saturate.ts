import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as net from 'node:net';
import { Deployment } from '../support/deployment.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { connectWire } from '../support/sockets.ts';
import { within } from '../support/within.ts';
import { type Soak, scaled } from './soak.ts';

const STREAMS = 8;
const BYTES_EACH_WAY = 500_000_000;
const CHUNK = Buffer.alloc(262_144, 'saturate ');

export const saturateSoak: Soak = {
  name: 'saturate',
  about: `${STREAMS} streams send ${BYTES_EACH_WAY / 1e6} MB both ways at the same time: none stops, every byte arrives`,
  async run({ scale }) {
    const bytes = scaled(BYTES_EACH_WAY, scale);
    const hashes: Promise<string>[] = [];
    const server = net.createServer({ allowHalfOpen: true }, (socket) => hashes.push(exchange(socket, bytes)));
    const close = closerOf(server);
    const deployment = await Deployment.start({ targetPort: await listenOn(server) });
    const begun = performance.now();
    try {
      const visits = Array.from({ length: STREAMS }, async () => {
        const { stream } = await connectWire(deployment.tcp);
        return exchange(stream, bytes);
      });
      const expected = expectedHash(bytes);
      for (const hash of [...(await Promise.all(visits)), ...(await Promise.all(hashes))]) assert.equal(hash, expected);
      const gigabits = (STREAMS * 2 * bytes * 8) / 1e9 / ((performance.now() - begun) / 1_000);
      return `${(STREAMS * 2 * bytes) / 1e9} GB, ${gigabits.toFixed(2)} Gbit/s in both directions together`;
    } finally {
      await deployment.close();
      await close();
    }
  },
};

/** Sends `bytes` and FIN, reads until the other side's FIN; the hash of what was read. */
async function exchange(socket: net.Socket, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  // Not `for await`: that destroys a socket whose reading has ended, while this side is still sending.
  const read = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => hash.update(chunk));
    socket.on('end', resolve);
  });
  await Promise.all([read, send(socket, bytes)]);
  return hash.digest('hex');
}

/** A write that is not taken for so long has stopped for ever. */
const STOPPED_AFTER_MS = 60_000;

async function send(socket: net.Socket, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += CHUNK.length) {
    const part = CHUNK.subarray(0, Math.min(CHUNK.length, bytes - sent));
    if (!socket.write(part)) await within(`a drain after ${sent} bytes`, once(socket, 'drain'), STOPPED_AFTER_MS);
  }
  socket.end();
}

function expectedHash(bytes: number): string {
  const hash = createHash('sha256');
  for (let sent = 0; sent < bytes; sent += CHUNK.length)
    hash.update(CHUNK.subarray(0, Math.min(CHUNK.length, bytes - sent)));
  return hash.digest('hex');
}
