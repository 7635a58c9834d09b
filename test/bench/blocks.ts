import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

const BLOCK_BYTES = 256 * 1024;

/** So many bytes, made as they are read. No two blocks are alike: a block lost, doubled or moved changes the hash. */
export function blocks(bytes: number): Readable {
  const template = randomBytes(BLOCK_BYTES);
  function* make(): Generator<Buffer> {
    for (let sent = 0; sent < bytes; sent += BLOCK_BYTES) {
      const block = Buffer.from(template.subarray(0, Math.min(BLOCK_BYTES, bytes - sent)));
      if (block.length >= 8) block.writeDoubleBE(sent, 0);
      yield block;
    }
  }
  return Readable.from(make(), { objectMode: false });
}
