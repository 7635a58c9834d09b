/** Bytes that arrive in pieces, in one piece. The first chunk is kept as it is; later ones are copied, each byte once or twice. */
export class GrowingBuffer {
  #buffer: Buffer = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What has been appended so far: a view, valid until the next `append`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  append(chunk: Buffer): void {
    if (this.#length === 0) {
      this.#buffer = chunk;
      this.#length = chunk.length;
      return;
    }
    const wanted = this.#length + chunk.length;
    if (wanted > this.#buffer.length) {
      // By what was received, never by what a peer announced: memory must cost the peer bytes.
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#length);
    this.#length = wanted;
  }
}

const EMPTY = Buffer.alloc(0);
