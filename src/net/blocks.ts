/** Size of a block, and the least that is worth one, bytes: for less Node has a pool of its own. */
const BLOCK_BYTES = 64 * 1024;
export const LEAST_BLOCK_BYTES = 8 * 1024;
/** Free blocks that are kept at most: as many streams can have one under way each. */
const KEPT = 1024;
/** After so many returns those go that nobody needed meanwhile. */
const RETURNS = 4096;

const free: ArrayBuffer[] = [];
let returns = 0;
/** The fewest that were free since the last look. */
let leastFree = 0;
/** Those that are out, which alone may come back, once. */
const out = new WeakSet<ArrayBuffer>();

/**
 * A copy of the first `bytes` of `from`. Large ones come from a pool: as garbage the buffers of a bulk transfer would be
 * collected too late, and the memory that was theirs stays with the process.
 */
export function copyOf(from: Buffer, bytes: number): Buffer {
  const copy = bytes < LEAST_BLOCK_BYTES || bytes > BLOCK_BYTES ? Buffer.allocUnsafe(bytes) : take(bytes);
  from.copy(copy, 0, 0, bytes);
  return copy;
}

function take(bytes: number): Buffer {
  const block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer;
  leastFree = Math.min(leastFree, free.length);
  out.add(block);
  return Buffer.from(block, 0, bytes);
}

/** True for what {@link copyOf} took from the pool. */
export function isPooled(chunk: Buffer): boolean {
  return chunk.length >= LEAST_BLOCK_BYTES && out.has(chunk.buffer as ArrayBuffer);
}

/**
 * Gives back what {@link copyOf} made. Nothing may read it any more, in this process or in the platform; what is not given back
 * is collected as any buffer.
 */
export function giveBack(chunk: Buffer): void {
  const block = chunk.buffer as ArrayBuffer;
  if (!out.delete(block)) return;
  if (free.length < KEPT) free.push(block);
  returns += 1;
  if (returns < RETURNS) return;
  returns = 0;
  free.splice(0, leastFree);
  leastFree = free.length;
}
