import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';
import type { Framing } from './head-check.ts';
import { removeNamed } from './header-rules.ts';
import { trailerPairs, type WholeHead, wholeResponse } from './http1-whole.ts';
import { untilLook } from './stalled-peer.ts';
import { atTurnEnd, corkUntilTurnEnd, type TurnActor } from './turn-end.ts';

/** Answers up to here are handed over without a watch of their own on the visitor that takes them. */
const SMALL_BYTES = 8_192;
const EMPTY = Buffer.alloc(0);

/** What one HTTP/1 connection tells the response of each of its exchanges. */
export interface Http1ResponseOptions {
  /** Starts when bytes wait for the visitor; ends when it takes some, ms. 0: none. */
  readonly writeMs: number;
  /** Asked when a response begins: true adds `Connection: close`. */
  readonly closing: () => boolean;
  /** How long node:http keeps the connection between requests, ms; 0: it does not say. */
  readonly keepAliveMs: () => number;
  /** Told of an answer that was handed over and is too small for a watch of its own. Default: nobody is. */
  readonly onSmallAnswer?: () => void;
}

/** Whose response it is. */
export interface ResponseOwner extends Pick<Exchange, 'version' | 'gone' | 'handler'> {
  /** node:http is about to be given some of the response; from then on it says what becomes of that. May be called again. */
  watchResponse(): void;
  /** All of the response was handed over, past node:http. */
  responseOnFinish(): void;
}

/**
 * Writes a target's response to a visitor of HTTP/1: through node:http, except for what is small, whole and on a connection
 * that is kept.
 */
export class Http1ResponseWriter implements TurnActor {
  readonly #owner: ResponseOwner;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #options: Http1ResponseOptions;
  /** The head as long as nothing of it was sent. */
  #head: WholeHead | null = null;
  /** The response can be sent without node:http if all of it is here when the turn ends. */
  #whole = false;
  /** What came of such a response before its end. */
  readonly #held: Buffer[] = [];
  #last: Buffer | null = null;
  #ended = false;
  #awaitsTurnEnd = false;
  #bytesOut = 0;
  #watchesDrain = false;
  /** A head was given. */
  responded = false;

  constructor(owner: ResponseOwner, request: IncomingMessage, response: ServerResponse, options: Http1ResponseOptions) {
    this.#owner = owner;
    this.#request = request;
    this.#response = response;
    this.#socket = request.socket;
    this.#options = options;
  }

  respond(status: number, reason: string, headers: string[], framing: Framing | 'close'): void {
    let sent = headers;
    if (this.#owner.version === '1.0' && framing === 'chunked') sent = removeNamed(sent, ['trailer']);
    const closes = this.#options.closing();
    if (closes) sent.push('Connection', 'close');
    this.responded = true;
    this.#whole = framing !== 'chunked' && framing !== 'close' && !closes && this.#persists();
    this.#head = { status, reason, headers: sent };
    // The body may be long in coming; mostly it is here already, and both should leave in one record.
    if (framing !== 'none' && framing !== 0) this.#awaitTurnEnd();
  }

  /** Whether node:http would keep the connection: not with who waits for 100, and may have sent its body or not. */
  #persists(): boolean {
    const { shouldKeepAlive, socket } = this.#response;
    const expects = this.#request.headers.expect !== undefined;
    return shouldKeepAlive && socket !== null && !expects;
  }

  write(chunk: Buffer): boolean {
    this.#bytesOut += chunk.length;
    // The rest is mostly here when the turn ends: a target's head and body come one after the other, or a record of the tunnel
    // ended in between.
    if (this.#head !== null && this.#whole && this.#bytesOut <= SMALL_BYTES) {
      this.#held.push(chunk);
      return true;
    }
    corkUntilTurnEnd(this.#socket);
    this.#writeHead();
    const room = this.#response.write(chunk);
    if (!room) this.#awaitDrain();
    return room;
  }

  end(trailers: readonly string[], last: Buffer | null): void {
    this.#last = last;
    if (trailers.length > 0) this.#response.addTrailers(trailerPairs(trailers));
    this.#ended = true;
    // At once it would send what is corked.
    this.#awaitTurnEnd();
  }

  #awaitTurnEnd(): void {
    if (this.#awaitsTurnEnd) return;
    this.#awaitsTurnEnd = true;
    atTurnEnd(this);
  }

  turnOnEnd(): void {
    this.#awaitsTurnEnd = false;
    if (this.#owner.gone !== null) return;
    if (this.#ended) this.#endResponse();
    else this.#flushHead();
  }

  #awaitDrain(): void {
    this.#socket.setTimeout(untilLook(this.#options.writeMs));
    if (this.#watchesDrain) return;
    this.#watchesDrain = true;
    this.#response.on('drain', () => this.#responseOnDrain());
  }

  #responseOnDrain(): void {
    this.#socket.setTimeout(0);
    this.#owner.handler?.exchangeDrain();
  }

  /** Hands the head, and what was held behind it, to node:http, which sends a head with what comes next. */
  #writeHead(): void {
    const head = this.#head;
    if (head === null) return;
    this.#head = null;
    this.#owner.watchResponse();
    this.#response.writeHead(head.status, head.reason, head.headers);
    for (const chunk of this.#held) this.#response.write(chunk);
  }

  /** Sends the head if nothing else has done so yet. */
  #flushHead(): void {
    if (this.#head === null) return;
    const isAlone = this.#held.length === 0;
    this.#writeHead();
    if (isAlone) this.#response.flushHeaders();
  }

  #endResponse(): void {
    const head = this.#head;
    const last = this.#last;
    this.#bytesOut += last?.length ?? 0;
    const small = this.#bytesOut <= SMALL_BYTES;
    if (head !== null && this.#whole && small) {
      this.#head = null;
      const body = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last ?? EMPTY]);
      this.#socket.write(wholeResponse(head, this.#options.keepAliveMs(), body), this.#socketOnWritten);
    } else {
      this.#writeHead();
      this.#response.end(last ?? undefined);
    }
    // What is small mostly fits the kernel's buffer, and hot paths are made of small answers.
    if (small) this.#options.onSmallAnswer?.();
    else this.#socket.setTimeout(untilLook(this.#options.writeMs));
  }

  /** node:http goes on to the next request at this event, whoever wrote the response. */
  readonly #socketOnWritten = (error?: Error | null): void => {
    if (error || this.#owner.gone !== null) return;
    this.#response.emit('finish');
    this.#owner.responseOnFinish();
  };
}
