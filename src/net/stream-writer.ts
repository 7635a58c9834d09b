import type { Duplex } from 'node:stream';
import { giveBack, isPooled, LEAST_BLOCK_BYTES } from './blocks.ts';
import type { FlowWriter } from './flow-writer.ts';
import { type GateUser, SendGate } from './send-gate.ts';
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
/** What the streams of one HTTP/2 session have in common. */
interface Shared {
  /** By session: those that are stalled in one tunnel slow no newcomer of another. */
  readonly sentLittle: Queues;
  readonly gate: SendGate | null;
}

const shared = new WeakMap<object, Shared>();
/** For what is no HTTP/2 stream, and is sent on its own. */
const noSession: Shared = { sentLittle: { bytes: 0, mostBytes: SENT_LITTLE_BYTES }, gate: null };

function sharedOf({ session }: Duplex & { readonly session?: object | null | undefined }): Shared {
  if (session == null) return noSession;
  let found = shared.get(session);
  if (found === undefined) {
    found = { sentLittle: { bytes: 0, mostBytes: SENT_LITTLE_BYTES }, gate: new SendGate() };
    shared.set(session, found);
  }
  return found;
}

/** Writes what a source brings to a stream, which gathers by itself. */
export class StreamWriter implements FlowWriter, GateUser {
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly #gate: SendGate | null;
  /** What waits for the gate, in order; the source is paused then. */
  #held: Buffer[] | null = null;
  #queues: Queues;
  /** Of {@link #queues}. */
  #queued = 0;
  #written = 0;

  constructor(from: Duplex, to: Duplex) {
    this.#from = from;
    this.#to = to;
    const { sentLittle, gate } = sharedOf(to);
    this.#queues = sentLittle;
    this.#gate = gate;
  }

  write(chunk: Buffer): void {
    const isLarge = chunk.length >= LEAST_BLOCK_BYTES;
    if (this.#held !== null || (isLarge && this.#gate?.isClosed === true)) this.#hold(chunk);
    else this.#pass(chunk, isLarge);
  }

  #hold(chunk: Buffer): void {
    this.#from.pause();
    if (this.#held !== null) {
      this.#held.push(chunk);
      return;
    }
    this.#held = [chunk];
    this.#gate?.wait(this);
  }

  gateOnOpen(): void {
    const held = this.#held;
    if (held === null) return;
    this.#held = null;
    this.#from.resume();
    for (const chunk of held) this.#pass(chunk, chunk.length >= LEAST_BLOCK_BYTES);
  }

  #pass(chunk: Buffer, isLarge: boolean): void {
    this.#written += chunk.length;
    if (isLarge ? this.#passLarge(chunk) : this.#to.write(chunk)) return;
    if (this.#written >= SENT_BYTES && this.#queues !== sentMuch) {
      this.#count(0);
      this.#queues = sentMuch;
    }
    this.queueOnMove();
    const { bytes, mostBytes } = this.#queues;
    if (!isLarge || this.#queued >= QUEUE_BYTES || bytes >= mostBytes) this.#from.pause();
  }

  /** What most sockets bring is small: none is told to share before a large read came. */
  #passLarge(chunk: Buffer): boolean {
    const [to, gate] = [this.#to, this.#gate];
    if (!isPooled(chunk) && this.#from instanceof SplicedSocket) this.#from.sharePool();
    gate?.pass(chunk.length);
    return to.write(chunk, (error) => {
      gate?.sent();
      // A stream that is destroyed calls back as well, while the platform may still have the bytes to send.
      if (error == null && !to.destroyed) giveBack(chunk);
    });
  }

  end(): false {
    this.gateOnOpen();
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
    this.#held = null;
    this.#count(0);
  }

  #count(queued: number): void {
    this.#queues.bytes += queued - this.#queued;
    this.#queued = queued;
  }
}
