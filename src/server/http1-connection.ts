import type { Socket } from 'node:net';
import { BackdialError } from '../core/errors.ts';
import { Deadline } from '../net/deadline.ts';
import type { Http1Exchange, Http1ExchangeOptions } from '../net/http1-exchange.ts';
import { resetDuplex } from '../net/reset.ts';
import { StallDeadline } from '../net/stalled-peer.ts';
import { timeLeft, type VisitorConnection } from './visitor.ts';

/** Requests that may wait behind one that is being answered; who sends more is no browser. */
const MAX_PIPELINED = 16;
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
  /** Starts with accept; ends with the first request. Of later ones node:http keeps the time. */
  readonly #firstHead: Deadline;
  /** Starts with a small answer; ends when it was taken. Costs less than a time-out of the socket. */
  readonly #untaken: StallDeadline;
  #running = false;
  #closing = false;
  #bytesWritten = 0;

  constructor(socket: Socket, connection: VisitorConnection, times: Http1Times) {
    this.socket = socket;
    this.connection = connection;
    const { writeMs, keepAliveMs } = times;
    // Earlier answers that nobody read fill the kernel's buffer: then even a small one waits.
    this.#untaken = new StallDeadline(socket, () => this.exchange?.stall());
    const onSmallAnswer = (): void => this.#untaken.arm(writeMs);
    this.#firstHead = new Deadline(times.firstHeadOnLate);
    this.#firstHead.arm(timeLeft(connection, times.readMs));
    this.exchangeOptions = { writeMs, keepAliveMs, upgradable: false, closing: () => this.#closing, onSmallAnswer };
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
  take(serve: () => Promise<void>): void {
    this.#firstHead.disarm();
    // See #next: it may as well come later.
    if (this.socket.writableEnded) return;
    if (!this.#running) this.#run(serve);
    else if (this.#waiting.length < MAX_PIPELINED) this.#waiting.push(serve);
    else this.lose(new BackdialError('request-invalid', `more than ${MAX_PIPELINED} requests at once`));
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

  /** The parser choked: on the body of the request that is being served, or on what came behind it. */
  breakRequest(error: BackdialError): void {
    this.#closing = true;
    this.exchange?.break(error);
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
    if (this.#closing) this.#end();
  };

  /** What came behind an answer that ended the connection is ignored: it could take effect, but not be answered. */
  #next(): (() => Promise<void>) | undefined {
    if (this.socket.writableEnded) this.#waiting.length = 0;
    return this.#waiting.shift();
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
