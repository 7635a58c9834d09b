import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import type { Exchange, ExchangeHandler } from './exchange.ts';
import type { Framing } from './head-check.ts';
import { removeNamed } from './header-rules.ts';
import { resetDuplex } from './reset.ts';
import { atTurnEnd, corkUntilTurnEnd } from './turn-end.ts';

/** Starts with an answer that closes the connection; ends the visitor's chance to read it. */
const LINGER_MS = 2_000;

/** Starts when nobody wants the rest of a request; ends the visitor's chance to send it. */
const DISCARD_MS = 30_000;

/** Answers up to here are handed over without a watch on the visitor that takes them. */
const SMALL_BYTES = 8_192;

/** What one HTTP/1 connection tells each of its exchanges. */
export interface Http1ExchangeOptions {
  /** Starts when bytes wait for the visitor; ends when it takes some, ms. 0: none. */
  readonly writeMs: number;
  /** Asked when a response begins: true adds `Connection: close`. */
  readonly closing: () => boolean;
  /** True for a request that node:http gave to `upgrade`: its socket is free for another protocol. */
  readonly upgradable: boolean;
  /** Told of an answer that was handed over and is too small for a watch of its own. Default: nobody is. */
  readonly onSmallAnswer?: () => void;
}

/** An exchange over a request and a response of node:http. */
export class Http1Exchange implements Exchange {
  readonly version: '1.0' | '1.1';
  handler: ExchangeHandler | null = null;
  gone: BackdialError | null = null;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #options: Http1ExchangeOptions;
  #broken: BackdialError | null = null;
  #headPending = false;
  #last: Buffer | null = null;
  #bytesOut = 0;
  #watchesDrain = false;
  #lingers = false;
  #upgraded = false;
  #done = false;

  constructor(request: IncomingMessage, response: ServerResponse, options: Http1ExchangeOptions) {
    this.version = request.httpVersionMinor === 0 ? '1.0' : '1.1';
    this.#request = request;
    this.#response = response;
    this.#socket = request.socket;
    this.#options = options;
    // What the target said, Date included, is passed on as it is.
    response.sendDate = false;
    response.on('error', this.#responseOnError);
    response.on('finish', this.#responseOnFinish);
    response.on('close', this.#responseOnClose);
  }

  get responded(): boolean {
    return this.#upgraded || this.#response.headersSent;
  }

  /** The connection is another protocol's, which may be silent for as long as it likes. */
  get switched(): boolean {
    return this.#upgraded;
  }

  /** Nothing of the answer waits for the visitor, and nothing ever will. */
  get over(): boolean {
    return this.gone !== null || this.#upgraded || this.#lingers || this.#response.writableFinished;
  }

  /** Resolves when it is {@link over}; to be asked for before. */
  whenOver(): Promise<void> {
    return new Promise((resolve) => {
      this.#response.once('finish', resolve);
      this.#response.once('close', resolve);
    });
  }

  startBody(): void {
    const request = this.#request;
    request.on('error', this.#requestOnError);
    request.on('data', this.#requestOnData);
    request.on('end', this.#requestOnEnd);
    request.on('close', this.#requestOnClose);
    if (this.#broken !== null) this.handler?.exchangeBroken(this.#broken);
  }

  pauseBody(): void {
    this.#request.pause();
  }

  resumeBody(): void {
    this.#request.resume();
  }

  discardBody(): void {
    const socket = this.#socket;
    const request = this.#request;
    request.resume();
    const timer = setTimeout(() => socket.destroy(), DISCARD_MS);
    timer.unref();
    request.once('close', () => clearTimeout(timer));
  }

  inform(status: number, headers: string[]): void {
    if (this.version === '1.0' || this.responded || this.gone !== null) return;
    // writeContinue, so that node:http knows that the connection can be kept.
    if (status === 100 && headers.length === 0) this.#response.writeContinue();
    else this.#response.writeInformation(status, headers);
  }

  respond(status: number, reason: string, headers: string[], framing: Framing | 'close'): void {
    if (this.gone !== null) return;
    let sent = headers;
    if (this.version === '1.0' && framing === 'chunked') sent = removeNamed(sent, ['trailer']);
    if (this.#options.closing()) sent.push('Connection', 'close');
    this.#response.writeHead(status, reason, sent);
    // node:http holds the head back until the first byte of the body, which may be long in coming; mostly it is here
    // already, and both should leave in one record.
    this.#headPending = true;
    if (framing === 'none' || framing === 0) return;
    atTurnEnd(this.#flushHead);
  }

  write(chunk: Buffer): boolean {
    if (this.gone !== null) return true;
    this.#headPending = false;
    this.#bytesOut += chunk.length;
    corkUntilTurnEnd(this.#socket);
    const room = this.#response.write(chunk);
    if (!room) this.#awaitDrain();
    return room;
  }

  end(trailers: string[], last: Buffer | null): void {
    if (this.gone !== null) return;
    // With nothing sent yet the whole response is one piece, and needs no cork.
    if (this.#headPending) this.#last = last;
    else if (last !== null) this.write(last);
    if (trailers.length > 0) {
      const pairs: [string, string][] = [];
      for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i] ?? '', trailers[i + 1] ?? '']);
      this.#response.addTrailers(pairs);
    }
    this.#headPending = false;
    // At once it would send what is corked.
    atTurnEnd(this.#endResponse);
  }

  answer(status: number, headers: string[], body: Buffer, close: boolean): void {
    if (this.gone !== null) return;
    const response = this.#response;
    const bodyless = this.#request.method === 'HEAD';
    if (!close && !this.#options.closing()) {
      response.writeHead(status, headers);
      response.end(bodyless ? undefined : body);
      this.#options.onSmallAnswer?.();
      return;
    }
    this.#lingers = true;
    response.writeHead(status, [...headers, 'Connection', 'close']);
    // Not `response.end()`: node:http would destroy the socket at once, and bytes of a body that is still on its way would
    // turn that into a reset that can overtake the answer. This side ends, the other one is read for a while.
    if (bodyless) response.flushHeaders();
    else response.write(body);
    this.#request.resume();
    this.#socket.end();
    const socket = this.#socket;
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
    this.#finish();
  }

  abort(error: Error): void {
    if (this.gone === null && !this.#done) {
      this.gone = error instanceof BackdialError ? error : new BackdialError('visitor-reset', error.message);
    }
    resetDuplex(this.#socket, error);
  }

  upgrade(reason: string, headers: string[]): Duplex | null {
    const response = this.#response;
    if (this.gone !== null || !this.#options.upgradable || response.socket === null) return null;
    this.#done = true;
    this.#upgraded = true;
    response.off('close', this.#responseOnClose);
    response.detachSocket(response.socket);
    // RFC 9110, section 9.3.6: to CONNECT any 2xx says that the tunnel begins.
    let head = `HTTP/1.1 ${this.#request.method === 'CONNECT' ? 200 : 101} ${reason}\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    this.#socket.write(`${head}\r\n`, 'latin1');
    return this.#socket;
  }

  /** The visitor took no byte within `writeMs`. */
  stall(): void {
    const error = new BackdialError('visitor-stalled');
    this.#lose(error);
    resetDuplex(this.#socket, error);
  }

  /** The parser found that what follows breaks a rule: the body, unless that is complete. */
  break(error: BackdialError): void {
    if (this.#request.complete) return;
    this.#broken = error;
    this.handler?.exchangeBroken(error);
  }

  /** The visitor is gone, whatever its socket says. */
  lose(error: BackdialError): void {
    this.#lose(error);
  }

  #awaitDrain(): void {
    this.#socket.setTimeout(this.#options.writeMs);
    if (this.#watchesDrain) return;
    this.#watchesDrain = true;
    this.#response.on('drain', this.#responseOnDrain);
  }

  #finish(): void {
    if (this.#done || this.gone !== null) return;
    this.#done = true;
    this.handler?.exchangeDone();
  }

  #lose(error: BackdialError): void {
    if (this.gone !== null) return;
    this.gone = error;
    this.handler?.exchangeGone(error);
  }

  /** Sends the head if nothing else has done so yet. */
  readonly #flushHead = (): void => {
    if (!this.#headPending || this.gone !== null) return;
    this.#headPending = false;
    this.#response.flushHeaders();
  };

  readonly #endResponse = (): void => {
    if (this.gone !== null) return;
    const last = this.#last;
    if (last === null) this.#response.end();
    else {
      this.#bytesOut += last.length;
      this.#response.end(last);
    }
    // What is small mostly fits the kernel's buffer, and hot paths are made of small answers.
    if (this.#bytesOut > SMALL_BYTES) this.#socket.setTimeout(this.#options.writeMs);
    else this.#options.onSmallAnswer?.();
  };

  readonly #responseOnDrain = (): void => {
    this.#socket.setTimeout(0);
    this.handler?.exchangeDrain();
  };

  readonly #responseOnFinish = (): void => this.#finish();

  readonly #responseOnClose = (): void => {
    if (!this.#lingers && !this.#response.writableFinished) this.#lose(new BackdialError('visitor-reset'));
  };

  readonly #responseOnError = (error: Error): void => {
    this.#lose(new BackdialError('visitor-reset', error.message, { cause: error }));
  };

  readonly #requestOnData = (chunk: Buffer): void => this.handler?.exchangeData(chunk);

  readonly #requestOnEnd = (): void => this.handler?.exchangeBodyEnd(this.#request.rawTrailers);

  readonly #requestOnError = (error: Error): void => {
    this.#lose(new BackdialError('visitor-reset', error.message, { cause: error }));
  };

  readonly #requestOnClose = (): void => {
    if (!this.#request.complete) this.#lose(new BackdialError('visitor-reset'));
  };
}
