import { BackdialError } from '../core/errors.ts';

/** Extensions and trailers are the sender's to bloat. */
const MAX_SIZE_LINE_BYTES = 1_024;
const MAX_TRAILER_BYTES = 65_536;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;
const DONE = 7;

const CR = 0x0d;
const LF = 0x0a;

/**
 * Takes a chunked body apart (RFC 9112, section 7.1), strictly: CRLF only, hexadecimal sizes only, bounded extensions and
 * trailers. Bytes behind the last line are left to the caller.
 */
export class ChunkedBody {
  #state = SIZE;
  #left = 0;
  #digits = 0;
  #lineBytes = 0;
  #trailer = '';

  get done(): boolean {
    return this.#state === DONE;
  }

  /** The trailer section as text, without its last empty line; to be read once `done`. */
  get trailer(): string {
    return this.#trailer;
  }

  /**
   * Reads `chunk` from `at`; gives what it found to `onData`. Returns where it stopped: behind the body once `done`, else
   * the chunk's end. Throws `target-invalid`.
   */
  read(chunk: Buffer, at: number, onData: (data: Buffer) => void): number {
    let i = at;
    while (i < chunk.length && this.#state !== DONE) {
      if (this.#state === DATA) {
        const end = Math.min(chunk.length, i + this.#left);
        this.#left -= end - i;
        if (this.#left === 0) this.#state = DATA_CR;
        onData(i === 0 && end === chunk.length ? chunk : chunk.subarray(i, end));
        i = end;
      } else if (this.#state === TRAILER) {
        i = this.#readTrailer(chunk, i);
      } else {
        this.#step(chunk[i] ?? 0);
        i += 1;
      }
    }
    return i;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case SIZE: {
        const digit = hexDigit(byte);
        if (digit !== -1) {
          this.#digits += 1;
          // 12 digits are 256 TB: more can only be an attempt to overflow somebody's counter.
          if (this.#digits > 12) throw broken('a chunk size has too many digits');
          this.#left = this.#left * 16 + digit;
          return;
        }
        if (this.#digits === 0) throw broken('a chunk has no size');
        if (byte === CR) this.#state = SIZE_LF;
        else if (byte === 0x3b || byte === 0x20 || byte === 0x09) this.#state = EXTENSION;
        else throw broken('a chunk size is not hexadecimal');
        return;
      }
      case EXTENSION:
        this.#lineBytes += 1;
        if (this.#lineBytes > MAX_SIZE_LINE_BYTES) throw broken('a chunk extension is too long');
        if (byte === CR) this.#state = SIZE_LF;
        else if (byte === LF) throw broken('a chunk size line ends with a bare LF');
        return;
      case SIZE_LF:
        if (byte !== LF) throw broken('a chunk size line ends with a bare CR');
        this.#state = this.#left === 0 ? TRAILER : DATA;
        this.#digits = 0;
        this.#lineBytes = 0;
        return;
      case DATA_CR:
        if (byte !== CR) throw broken('a chunk is longer than its size');
        this.#state = DATA_LF;
        return;
      default:
        if (byte !== LF) throw broken('a chunk ends with a bare CR');
        this.#state = SIZE;
    }
  }

  /** Up to the empty line that ends the section; the section may be that line alone. */
  #readTrailer(chunk: Buffer, at: number): number {
    const before = this.#trailer.length;
    const text = this.#trailer + chunk.toString('latin1', at, Math.min(chunk.length, at + MAX_TRAILER_BYTES + 4));
    const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (end === -1) {
      if (text.length > MAX_TRAILER_BYTES) throw broken('the trailer section is too large');
      this.#trailer = text;
      return chunk.length;
    }
    this.#state = DONE;
    this.#trailer = text.slice(0, end);
    return at + (end === 0 ? 2 : end + 4) - before;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function broken(detail: string): BackdialError {
  return new BackdialError('target-invalid', detail);
}
