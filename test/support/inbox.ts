import type { Readable } from 'node:stream';
import { within } from './within.ts';

/** Reads a stream to its end and lets a test wait for what it needs of it. Sets the stream flowing. */
export class Inbox {
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #waiting: { length: number; resolve: () => void }[] = [];

  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** Everything received so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  get length(): number {
    return this.#length;
  }

  /** Resolves when `length` bytes in all have arrived. */
  received(length: number): Promise<void> {
    if (this.#length >= length) return Promise.resolve();
    const arrived = new Promise<void>((resolve) => this.#waiting.push({ length, resolve }));
    return within(`${length} bytes to arrive`, arrived);
  }

  /** Resolves when `marker` has arrived; the text before it. */
  async receivedText(marker: string): Promise<string> {
    for (;;) {
      const at = this.text.indexOf(marker);
      if (at !== -1) return this.text.slice(0, at);
      await this.received(this.#length + 1);
    }
  }

  /** Forgets the first `length` bytes, so that only what comes behind them counts. */
  drop(length: number): void {
    const rest = this.bytes.subarray(length);
    this.#chunks.splice(0, this.#chunks.length, rest);
    this.#length = rest.length;
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const ready = this.#waiting.filter(({ length }) => length <= this.#length);
    this.#waiting = this.#waiting.filter(({ length }) => length > this.#length);
    for (const { resolve } of ready) resolve();
  }
}
