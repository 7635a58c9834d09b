import type { Socket } from 'node:net';
import { BackdialError } from '../core/errors.ts';
import { Deadline } from '../net/deadline.ts';
import type { Http1Exchange, Http1ExchangeOptions } from '../net/http1-exchange.ts';
import { resetDuplex } from '../net/reset.ts';
import { StallDeadline } from '../net/stalled-peer.ts';
import { timeLeft, type VisitorConnection } from './visitor.ts';

/**
 * As many requests wait behind the one that is being answered before nothing more is read. What one read of the socket brought
 * (64 kB at most: some 1,600 short requests, 3 MB of memory) waits with them.
 */
const MAX_WAITING = 16;
/** Starts when a visitor ended its side during an exchange, and again with each byte to it; ends a silent exchange. */
const HALF_CLOSED_MS = 30_000;
/** Starts when this side ended; ends the visitor's chance to end its own. */
const ENDING_MS = 2_000;

/** How long a connection may take. */
export interface Http1Times {
  /** `readTimeoutMs`: from accept to the end of the first head. */
  readonly readMs: number;
  /** `writeTimeoutMs`. */
  readonly writeMs: number;
  /** `idleTimeoutMs` as it is now. */
  keepAliveMs(): number;
  /** No head came in time. */
  firstHeadOnLate(): void;
}

/** One HTTP/1 connection of a visitor: its exchanges one after the other, and how it ends. */
export class Http1Connection {
  readonly socket: Socket;
  readonly connection: VisitorConnection;
  readonly exchangeOptions: Http1ExchangeOptions;
  readonly upgradeOptions: Http1ExchangeOptions;
  /** Of a request that the connection ends with. */
  readonly lastOptions: Http1ExchangeOptions;
  /** The exchange that is being served. */
  exchange: Http1Exchange | null = null;
  /** A bad request was answered; whatever follows it is not read. */
  refused = false;
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #halfClosed = new Deadline(() => this.#judgeHalfClosed());
  /** Starts with accept; ends with the first request. Of later ones node:http keeps the time; see {@link excuseHead}. */
  readonly #firstHead: Deadline;
  readonly #readMs: number;
  /** Starts with a small answer; ends when it was taken. Costs less than a time-out of the socket. */
  readonly #untaken: StallDeadline;
  #running = false;
  #closing = false;
  /** The exchange of the request that came last. */
  #last: Http1Exchange | null = null;
  /** The parser reads no request any more. */
  #broken = false;
  /** Nothing is read, for enough requests wait. */
  #held = false;
  #headExcused = false;
  #bytesWritten = 0;

  constructor(socket: Socket, connection: VisitorConnection, times: Http1Times) {
    this.socket = socket;
    this.connection = connection;
    const { writeMs, keepAliveMs } = times;
    // Earlier answers that nobody read fill the kernel's buffer: then even a small one waits.
    this.#untaken = new StallDeadline(socket, () => this.exchange?.stall());
    const onSmallAnswer = (): void => this.#untaken.arm(writeMs);
    this.#firstHead = new Deadline(times.firstHeadOnLate);
    this.#readMs = times.readMs;
    this.#firstHead.arm(timeLeft(connection, times.readMs));
    this.exchangeOptions = { writeMs, keepAliveMs, upgradable: false, closing: () => this.#endsNow, onSmallAnswer };
    this.lastOptions = { ...this.exchangeOptions, closing: () => true };
    this.upgradeOptions = { ...this.lastOptions, upgradable: true };
    socket.on('end', this.#socketOnEnd);
    // What node:http calls behind an answer with `Connection: close`. Its own destroys the socket once the answer was written:
    // bytes that are still coming (the rest of a body, a pipelined request) then turn the end into a reset, which can
    // overtake the answer.
    socket.destroySoon = () => this.#end();
  }

  /** A request is being answered. */
  get busy(): boolean {
    return this.#running;
  }

  /** No request has come yet. */
  get isNew(): boolean {
    return this.#firstHead.armed;
  }

  /** Serves a request once those before it were answered: nothing of one visitor's overtakes or crowds out others'. */
  take(exchange: Http1Exchange, serve: () => Promise<void>): void {
    this.#firstHead.disarm();
    this.#last = exchange;
    // See #next: it may as well come later.
    if (this.socket.writableEnded) return;
    if (!this.#running) {
      this.#run(serve);
      return;
    }
    this.#waiting.push(serve);
    if (this.#waiting.length >= MAX_WAITING) this.#hold();
  }

  /** node:http found a head late. True: it is this side that does not read, and the head has its time once that goes on. */
  excuseHead(): boolean {
    this.#headExcused ||= this.#held;
    return this.#held;
  }

  /** The next answer is the last one of the connection, and says so. */
  stop(): void {
    this.#closing = true;
  }

  /** Ends the connection now if it is idle, else with its next answer. */
  drain(): void {
    this.stop();
    if (!this.#running && !this.refused) this.#end();
  }

  /** The visitor is gone, or is to be. */
  lose(error: BackdialError): void {
    this.exchange?.lose(error);
    resetDuplex(this.socket, error);
  }

  /** The parser choked: on the body of the last request, or on what came behind it. Those before it are served. */
  breakRequest(error: BackdialError): void {
    this.#broken = true;
    this.#last?.break(error);
  }

  /** The answer that begins now, or was just given, is the last one. */
  get #endsNow(): boolean {
    return this.#closing || (this.#broken && this.#waiting.length === 0);
  }

  /** The socket closed, or is no visitor's any more. */
  close(): void {
    this.exchange?.close();
    this.#halfClosed.close();
    this.#firstHead.close();
    this.#untaken.close();
  }

  #run(serve: () => Promise<void>): void {
    this.#running = true;
    void serve().then(this.#onServed);
  }

  #hold(): void {
    if (this.#held) return;
    this.#held = true;
    // Behind node:http's own listener, that reads on: it lets the socket flow for each request, at the next tick.
    this.socket.off('resume', this.#pauseWhileHeld).on('resume', this.#pauseWhileHeld);
    process.nextTick(this.#pauseWhileHeld);
  }

  readonly #pauseWhileHeld = (): void => {
    if (this.#held) this.socket.pause();
  };

  #readOn(): void {
    if (!this.#held || this.#waiting.length >= MAX_WAITING) return;
    this.#held = false;
    if (this.#headExcused) this.#firstHead.arm(this.#readMs);
    this.#headExcused = false;
    this.socket.resume();
  }

  readonly #onServed = (): void => {
    const { exchange } = this;
    // Until then the socket is node:http's for this answer: nothing else can have it, an upgrade least of all.
    if (exchange !== null && !exchange.over) {
      void exchange.whenOver().then(this.#onServed);
      return;
    }
    this.exchange = null;
    this.#untaken.disarm();
    const next = this.#next();
    if (next !== undefined) {
      this.#run(next);
      return;
    }
    this.#running = false;
    // The answer may have said keep-alive before it was known that there will be no next.
    this.#last = null;
    if (this.#endsNow) this.#end();
  };

  /** What came behind an answer that ended the connection is ignored: it could take effect, but not be answered. */
  #next(): (() => Promise<void>) | undefined {
    if (this.socket.writableEnded) this.#waiting.length = 0;
    const next = this.#waiting.shift();
    this.#readOn();
    return next;
  }

  /** Ends this side, and reads and ignores for a moment what is still coming. */
  #end(): void {
    const { socket } = this;
    if (socket.writableEnded) return;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), ENDING_MS);
    socket.once('close', () => clearTimeout(timer));
  }

  readonly #socketOnEnd = (): void => {
    this.#bytesWritten = this.socket.bytesWritten;
    this.#halfClosed.arm(HALF_CLOSED_MS);
  };

  /**
   * A visitor that ended its side may still read, or be gone: only bytes to it can tell. An answer that brings none for
   * this long has lost its reader.
   */
  #judgeHalfClosed(): void {
    if (this.exchange?.switched === true) return;
    const { bytesWritten } = this.socket;
    if (bytesWritten === this.#bytesWritten) {
      this.lose(new BackdialError('visitor-reset', 'the visitor ended its side and took nothing since'));
      return;
    }
    this.#bytesWritten = bytesWritten;
    this.#halfClosed.arm(HALF_CLOSED_MS);
  }
}
