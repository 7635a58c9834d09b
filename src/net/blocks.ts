/** Size of a block, and the least that is worth one, bytes: for less Node has a pool of its own. */
const BLOCK_BYTES = 64 * 1024;
const LEAST_BYTES = 8 * 1024;
/** Free blocks that are kept: more than a few transfers never have under way. */
const KEPT = 128;

const free: ArrayBuffer[] = [];
/** Those that are out, which alone may come back, once. */
const out = new WeakSet<ArrayBuffer>();

/**
 * A copy of the first `bytes` of `from`. Large ones come from a pool: as garbage the buffers of a bulk transfer would be
 * collected too late, and the memory that was theirs stays with the process.
 */
export function copyOf(from: Buffer, bytes: number): Buffer {
  const copy = bytes < LEAST_BYTES || bytes > BLOCK_BYTES ? Buffer.allocUnsafe(bytes) : take(bytes);
  from.copy(copy, 0, 0, bytes);
  return copy;
}

function take(bytes: number): Buffer {
  const block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer;
  out.add(block);
  return Buffer.from(block, 0, bytes);
}

/** True for what {@link copyOf} took from the pool. */
export function isPooled(chunk: Buffer): boolean {
  return chunk.length >= LEAST_BYTES && out.has(chunk.buffer as ArrayBuffer);
}

/**
 * Gives back what {@link copyOf} made. Nothing may read it any more, in this process or in the platform; what is not given back
 * is collected as any buffer.
 */
export function giveBack(chunk: Buffer): void {
  const block = chunk.buffer as ArrayBuffer;
  if (out.delete(block) && free.length < KEPT) free.push(block);
}
