import { Duplex } from 'node:stream';

/**
 * A tunnel's stream as node:http may have it. Node (26.10) frees the strings of one gathered write on an HTTP/2 stream
 * before they are sent when the last chunk of it is empty, and node:http writes just that: head, body, ''. What arrives then
 * is foreign memory. Here all writes are bytes, and empty ones are none. A test shows the fault.
 *
 * Owns the stream: ends and cuts pass both ways.
 */
export class StreamSocket extends Duplex {
  #stream: Duplex | null = null;
  #bytesRead = 0;
  #bytesWritten = 0;

  /** Without a stream: a class of it gives one by {@link join}, at the end of `_construct`. */
  constructor(stream?: Duplex) {
    super({ allowHalfOpen: true });
    // node:http takes its listeners along when it lets go of a socket.
    this.on('error', () => {});
    if (stream !== undefined) this.join(stream);
  }

  protected join(stream: Duplex): void {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#bytesRead += chunk.length;
      if (!this.push(chunk)) stream.pause();
    });
    stream.on('end', () => this.push(null));
    stream.on('error', (error: Error) => this.destroy(error));
    stream.on('close', () => {
      // Once both directions have ended what waits here is still to be read; then this closes by itself.
      if (!stream.readableEnded || !stream.writableFinished) this.destroy();
    });
    stream.pause();
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** For node:http and `Http1Exchange`; the far end of the stream watches its visitors itself. */
  setTimeout(): this {
    return this;
  }

  /** What HTTP clients and servers ask of a TCP socket; a stream has the tunnel's. */
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {
    this.#stream?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#bytesWritten += chunk.length;
    if (chunk.length === 0) callback();
    else this.#stream?.write(chunk, callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'latin1', callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#stream?.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // What ended on both sides is left to close by itself; all else is a cut, for which an HTTP/2 stream needs an error.
    if (!this.readableEnded || !this.writableFinished) {
      this.#stream?.destroy(error ?? new Error('the stream was destroyed before its end'));
    }
    callback(error);
  }
}
