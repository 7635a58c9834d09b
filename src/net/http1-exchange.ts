import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import type { Exchange, ExchangeHandler } from './exchange.ts';
import type { Framing } from './head-check.ts';
import { type Http1ResponseOptions, Http1ResponseWriter, type ResponseOwner } from './http1-response-writer.ts';
import { resetDuplex } from './reset.ts';
import { StalledPeer, untilLook } from './stalled-peer.ts';

/** Starts with an answer that closes the connection; ends the visitor's chance to read it. */
const LINGER_MS = 2_000;

/** Starts when nobody wants the rest of a request; ends the visitor's chance to send it. */
const DISCARD_MS = 30_000;

/** What one HTTP/1 connection tells each of its exchanges. */
export interface Http1ExchangeOptions extends Http1ResponseOptions {
  /** True for a request that node:http gave to `upgrade`: its socket is free for another protocol. */
  readonly upgradable: boolean;
}

/** An exchange over a request and a response of node:http. Whoever has the connection calls {@link close} when that closed. */
export class Http1Exchange implements Exchange, ResponseOwner {
  readonly version: '1.0' | '1.1';
  handler: ExchangeHandler | null = null;
  gone: BackdialError | null = null;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #options: Http1ExchangeOptions;
  readonly #writer: Http1ResponseWriter;
  #visitor: StalledPeer | null = null;
  #broken: BackdialError | null = null;
  #lingers = false;
  #upgraded = false;
  #watched = false;
  #finished = false;
  #done = false;

  constructor(request: IncomingMessage, response: ServerResponse, options: Http1ExchangeOptions) {
    this.version = request.httpVersionMinor === 0 ? '1.0' : '1.1';
    this.#request = request;
    this.#response = response;
    this.#socket = request.socket;
    this.#options = options;
    this.#writer = new Http1ResponseWriter(this, request, response, options);
    // What the target said, Date included, is passed on as it is.
    response.sendDate = false;
  }

  /** Small answers go past node:http, so that most exchanges do not need to listen to it. */
  watchResponse(): void {
    if (this.#watched) return;
    this.#watched = true;
    this.#response.on('error', (error) => this.#connectionOnError(error));
    this.#response.on('finish', () => this.responseOnFinish());
  }

  get responded(): boolean {
    return this.#writer.responded || this.#upgraded || this.#response.headersSent;
  }

  /** The connection is another protocol's, which may be silent for as long as it likes. */
  get switched(): boolean {
    return this.#upgraded;
  }

  /** Nothing of the answer waits for the visitor, and nothing ever will. */
  get over(): boolean {
    return this.gone !== null || this.#upgraded || this.#lingers || this.#finished;
  }

  /** Resolves when it is {@link over}; to be asked for before. */
  whenOver(): Promise<void> {
    this.watchResponse();
    return new Promise((resolve) => {
      this.#response.once('finish', resolve);
      this.#response.once('close', resolve);
    });
  }

  startBody(): void {
    const request = this.#request;
    request.on('error', (error) => this.#connectionOnError(error));
    request.on('data', (chunk: Buffer) => this.handler?.exchangeData(chunk));
    request.on('end', () => this.handler?.exchangeBodyEnd(request.rawTrailers));
    request.on('close', () => this.#requestOnClose());
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
    this.watchResponse();
    // writeContinue, so that node:http knows that the connection can be kept.
    if (status === 100 && headers.length === 0) this.#response.writeContinue();
    else this.#response.writeInformation(status, headers);
  }

  respond(status: number, reason: string, headers: string[], framing: Framing | 'close'): void {
    if (this.gone !== null) return;
    this.#writer.respond(status, reason, headers, framing);
    // Nothing is switched, and node:http reads no more: whether the visitor is still there is seen by reading.
    if (this.#options.upgradable) this.#socket.resume();
  }

  write(chunk: Buffer): boolean {
    return this.gone !== null || this.#writer.write(chunk);
  }

  end(trailers: string[], last: Buffer | null): void {
    if (this.gone === null) this.#writer.end(trailers, last);
  }

  answer(status: number, headers: string[], body: Buffer, close: boolean): void {
    if (this.gone !== null) return;
    this.watchResponse();
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
    response.detachSocket(response.socket);
    // RFC 9110, section 9.3.6: to CONNECT any 2xx says that the tunnel begins.
    let head = `HTTP/1.1 ${this.#request.method === 'CONNECT' ? 200 : 101} ${reason}\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    this.#socket.write(`${head}\r\n`, 'latin1');
    return this.#socket;
  }

  /** Bytes waited for the visitor for a part of `writeMs`, and none of them left the process: {@link StalledPeer}. */
  async look(): Promise<void> {
    const { writeMs } = this.#options;
    this.#visitor ??= new StalledPeer(this.#socket);
    const isStalled = await this.#visitor.look(writeMs);
    // All may have left meanwhile, which ended the watch.
    if (this.over || !this.#socket.timeout) return;
    if (isStalled) this.stall();
    else this.#socket.setTimeout(untilLook(writeMs));
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

  responseOnFinish(): void {
    this.#finished = true;
    // Who took a large answer was watched; where connections may be idle for ever, node:http ends that watch for nobody.
    if (this.#options.keepAliveMs() === 0) this.#socket.setTimeout(0);
    this.#finish();
  }

  /** The connection closed. */
  close(): void {
    if (!this.#lingers && !this.#finished && !this.#upgraded) this.#lose(new BackdialError('visitor-reset'));
  }

  #connectionOnError(error: Error): void {
    this.#lose(new BackdialError('visitor-reset', error.message, { cause: error }));
  }

  #requestOnClose(): void {
    if (!this.#request.complete) this.#lose(new BackdialError('visitor-reset'));
  }
}
