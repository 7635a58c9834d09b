import type { Duplex } from 'node:stream';
import { giveBack, isPooled, LEAST_BLOCK_BYTES } from './blocks.ts';
import type { FlowWriter } from './flow-writer.ts';
import { SplicedSocket } from './spliced-socket.ts';

/**
 * What a stream may have that was not sent yet, bytes, before the source of large chunks is paused. A socket brings more in
 * a turn than one read takes: paused after each it needs two turns for that, and four system calls for each pause.
 */
const QUEUE_BYTES = 256 * 1024;
/** Queues of many streams together. */
interface Queues {
  bytes: number;
  /** Above this sum a source is paused until what it brought last was sent: thousands that are stalled would hold a whole queue each. */
  readonly mostBytes: number;
}

/**
 * Those of streams that sent more than the kernel keeps for somebody who reads nothing are a sum of their own, and a larger one: a
 * fast reader is kept busy beside a thousand that have never read, who hold 64 MB of the other sum.
 */
const SENT_BYTES = 8 * 1024 * 1024;
const sentMuch: Queues = { bytes: 0, mostBytes: 32 * 1024 * 1024 };
const SENT_LITTLE_BYTES = 4 * 1024 * 1024;
/** By HTTP/2 session: those that are stalled in one tunnel slow no newcomer of another. */
const sentLittle = new WeakMap<object, Queues>();
/** For what is no HTTP/2 stream. */
const NO_SESSION = {};

function sentLittleOf(to: Duplex & { readonly session?: object | undefined }): Queues {
  const session = to.session ?? NO_SESSION;
  let queues = sentLittle.get(session);
  if (queues === undefined) {
    queues = { bytes: 0, mostBytes: SENT_LITTLE_BYTES };
    sentLittle.set(session, queues);
  }
  return queues;
}

/** Writes what a source brings to a stream, which gathers by itself. */
export class StreamWriter implements FlowWriter {
  readonly #from: Duplex;
  readonly #to: Duplex;
  #queues: Queues;
  /** Of {@link #queues}. */
  #queued = 0;
  #written = 0;

  constructor(from: Duplex, to: Duplex) {
    this.#from = from;
    this.#to = to;
    this.#queues = sentLittleOf(to);
  }

  write(chunk: Buffer): void {
    this.#written += chunk.length;
    const isLarge = chunk.length >= LEAST_BLOCK_BYTES;
    if (isLarge ? this.#writeLarge(chunk) : this.#to.write(chunk)) return;
    if (this.#written >= SENT_BYTES && this.#queues !== sentMuch) {
      this.#count(0);
      this.#queues = sentMuch;
    }
    this.queueOnMove();
    const { bytes, mostBytes } = this.#queues;
    if (!isLarge || this.#queued >= QUEUE_BYTES || bytes >= mostBytes) this.#from.pause();
  }

  /** Only what is written at once is given back. What most sockets bring is small: none is told to share before a large read came. */
  #writeLarge(chunk: Buffer): boolean {
    if (isPooled(chunk)) return writePooled(this.#to, chunk);
    if (this.#from instanceof SplicedSocket) this.#from.sharePool();
    return this.#to.write(chunk);
  }

  end(): false {
    this.#to.end();
    return false;
  }

  endLast(): boolean {
    return this.end();
  }

  /** The `drain` comes whenever something was counted. */
  queueOnMove(): void {
    this.#count(this.#to.destroyed ? 0 : this.#to.writableLength);
  }

  close(): void {
    this.#count(0);
  }

  #count(queued: number): void {
    this.#queues.bytes += queued - this.#queued;
    this.#queued = queued;
  }
}

/** A stream that is destroyed calls back as well, while the platform may still have the bytes to send. */
function writePooled(to: Duplex, chunk: Buffer): boolean {
  return to.write(chunk, (error) => {
    if (error == null && !to.destroyed) giveBack(chunk);
  });
}
