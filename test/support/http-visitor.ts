import * as http from 'node:http';
import * as http2 from 'node:http2';
import type { Readable, Writable } from 'node:stream';
import type { HttpVersion } from './http-target.ts';
import { Inbox } from './inbox.ts';
import { type ConnectOptions, connectWire, type Wire } from './sockets.ts';
import { type Ending, endingOfError, watchEnding, watchMessage } from './verdict.ts';
import { within } from './within.ts';

export interface VisitOptions extends ConnectOptions {
  readonly version: HttpVersion;
  /** Default GET. */
  readonly method?: string;
  /** Default `/`. */
  readonly path?: string;
  /** Default `www.example.com`. */
  readonly host?: string;
  /** Sets Content-Length; without it a body is chunked. */
  readonly length?: number;
}

/** One request on a connection of its own, sent and cut piece by piece. */
export class Visit {
  /** How the answer ended; `clean` only when all of it came. Without any answer: how the connection ended. */
  readonly ending: Promise<Ending>;
  readonly #wire: Wire;
  readonly #request: Writable;
  readonly #head: Promise<{ status: number; inbox: Inbox }>;

  constructor(wire: Wire, request: Writable, answer: Promise<Answer>) {
    this.#wire = wire;
    this.#request = request;
    this.#head = answer.then(({ status, body }) => ({ status, inbox: new Inbox(body) }));
    this.#head.catch(() => {});
    this.ending = answer.then(
      ({ ending }) => ending,
      (error) => endingOfError(error),
    );
  }

  /** Resolves with the response head; rejects when the connection ended before. */
  head(): Promise<{ status: number; inbox: Inbox }> {
    return within('a response head', this.#head);
  }

  /** The status, or 0 when no head ever came. */
  async status(): Promise<number> {
    return this.#head.then(
      ({ status }) => status,
      () => 0,
    );
  }

  /** Resolves when `length` bytes of the answer's body have arrived. */
  async received(length: number): Promise<void> {
    const { inbox } = await this.head();
    await inbox.received(length);
  }

  async bytes(): Promise<Buffer> {
    return (await this.head()).inbox.bytes;
  }

  /** Sends a part of the request's body; resolves when the kernel has it. */
  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#request.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Completes the request. */
  finish(): void {
    this.#request.end();
  }

  /** FIN of the connection. */
  fin(): void {
    this.#wire.stream.end();
  }

  /** RST of the connection. */
  reset(): void {
    this.#wire.raw.resetAndDestroy();
  }

  /** Ends this request alone, its connection stays: RST_STREAM. HTTP/2 only. */
  resetStream(): void {
    this.#request.destroy(new Error('reset by the test'));
  }

  close(): void {
    this.#request.destroy();
    this.#wire.stream.destroy();
    this.#wire.raw.destroy();
  }
}

/** Connects and sends a request head. */
export async function visit(port: number, options: VisitOptions): Promise<Visit> {
  const { version, host = 'www.example.com', ...connect } = options;
  const alpn = [version === 'HTTP/2' ? 'h2' : 'http/1.1'];
  const wire = await connectWire(port, { servername: host, alpn, halfOpen: version === 'HTTP/1.1', ...connect });
  return version === 'HTTP/2' ? visitHttp2(wire, host, options) : visitHttp1(wire, host, options);
}

function visitHttp1(wire: Wire, host: string, options: VisitOptions): Visit {
  const { method = 'GET', path = '/', length } = options;
  const headers = { host, connection: 'keep-alive', ...(length === undefined ? {} : { 'content-length': length }) };
  const request = http.request({ method, path, headers, createConnection: () => wire.stream });
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      resolve({ status: response.statusCode ?? 0, body: response, ending: watchResponse(response, wire) });
    });
  });
  if (method === 'GET') request.end();
  else request.flushHeaders();
  return new Visit(wire, request, answer);
}

/** Node calls a body complete that only the end of the connection delimits, even where that end was a reset. */
async function watchResponse(response: http.IncomingMessage, wire: Wire): Promise<Ending> {
  const { headers } = response;
  const delimitedByEnd = headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
  const connection = watchEnding(wire.stream);
  const message = await watchMessage(response);
  return delimitedByEnd && message.verdict === 'clean' ? connection : message;
}

function visitHttp2(wire: Wire, host: string, options: VisitOptions): Visit {
  const { method = 'GET', path = '/', length } = options;
  const scheme = options.tls === true ? 'https' : 'http';
  const session = http2.connect(`${scheme}://${host}`, { createConnection: () => wire.stream });
  session.on('error', () => {});
  const stream = session.request(
    {
      ':method': method,
      ':path': path,
      ...(length === undefined ? {} : { 'content-length': length }),
    },
    { endStream: method === 'GET' },
  );
  const ending = watchMessage(stream);
  const answer = new Promise<Answer>((resolve, reject) => {
    stream.on('response', (headers) => resolve({ status: Number(headers[':status']), body: stream, ending }));
    void ending.then(({ code }) => reject(Object.assign(new Error('no response'), { code: code ?? 'end' })));
  });
  return new Visit(wire, stream, answer);
}

interface Answer {
  readonly status: number;
  readonly body: Readable;
  readonly ending: Promise<Ending>;
}
