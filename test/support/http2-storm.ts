import * as tls from 'node:tls';
import { paced, type StormOptions, type StormResult } from './abort-storm.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 } as const;
const ACK = 1;
const END_STREAM_AND_HEADERS = 5;
const CANCEL = Buffer.of(0, 0, 0, 8);
/** nghttp2 bears about 1,000 resets of one visitor at once. */
const RESETS_PER_SESSION = 900;
/** A server allows 100; those that it has not seen the reset of yet count for it. */
const STREAMS_PER_SESSION = 40;
const SESSIONS = 12;

/** What became of requests: reset by their visitor, refused by the server, or still open. */
interface Counts {
  resets: number;
  refused: number;
  open: number;
}

/**
 * HTTP/2 visitors who ask for `/storm` and reset each request when the head of its answer has come. Frames are written and
 * read by hand: a client that knows HTTP/2 would cost as much as what it is to load.
 */
export async function http2Storm(options: StormOptions & { readonly ca: Buffer; readonly domain: string }) {
  const result: Counts = { resets: 0, refused: 0, open: 0 };
  const head = requestBlock(options.domain);
  const sessions = new Set<StormSession>();
  const begin = () => withRoom()?.ask();
  const withRoom = () => {
    for (const session of sessions) {
      if (session.isOver) sessions.delete(session);
      else if (session.hasRoom) return session;
    }
    while (sessions.size < SESSIONS) sessions.add(new StormSession(options, head, result));
    return undefined;
  };
  const hasRoom = () => withRoom() !== undefined;
  const durationMs = await paced(options, { begin, hasRoom, isOver: () => result.open === 0 });
  for (const session of sessions) session.close();
  return { resets: result.resets, refused: result.refused, durationMs } satisfies StormResult;
}

/** A visitor's connection, until it has made its share of resets. */
class StormSession {
  readonly #socket: tls.TLSSocket;
  readonly #head: Buffer;
  readonly #result: Counts;
  readonly #waiting = new Set<number>();
  #received: Buffer = Buffer.alloc(0);
  #toSend: Buffer[] = [];
  #nextId = 1;
  #ready = false;
  #closed = false;

  constructor(
    { port, ca, domain }: { readonly port: number; readonly ca: Buffer; readonly domain: string },
    head: Buffer,
    result: Counts,
  ) {
    this.#head = head;
    this.#result = result;
    this.#socket = tls.connect({ port, host: '127.0.0.1', servername: domain, ca, ALPNProtocols: ['h2'] });
    this.#socket.on('error', () => {});
    this.#socket.once('secureConnect', () => this.#socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0)])));
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.once('close', () => {
      this.#closed = true;
      this.#result.refused += this.#waiting.size;
      this.#result.open -= this.#waiting.size;
    });
  }

  get hasRoom(): boolean {
    return this.#ready && !this.isOver && this.#waiting.size < STREAMS_PER_SESSION;
  }

  get isOver(): boolean {
    return this.#closed || this.#nextId > 2 * RESETS_PER_SESSION;
  }

  ask(): void {
    this.#waiting.add(this.#nextId);
    this.#result.open += 1;
    this.#send(frame(TYPE.headers, END_STREAM_AND_HEADERS, this.#nextId, this.#head));
    this.#nextId += 2;
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(bytes: Buffer): void {
    if (this.#toSend.push(bytes) > 1) return;
    setImmediate(() => {
      this.#socket.write(Buffer.concat(this.#toSend));
      this.#toSend = [];
      if (this.isOver && this.#waiting.size === 0) this.#socket.end();
    });
  }

  #take(chunk: Buffer): void {
    const bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    while (bytes.length - at >= 9 && bytes.length - at >= 9 + bytes.readUIntBE(at, 3)) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      this.#frame(bytes[at + 3], bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5), bytes.subarray(at + 9, end));
      at = end;
    }
    this.#received = bytes.subarray(at);
  }

  #frame(type: number | undefined, flags: number, id: number, payload: Buffer): void {
    if (type === TYPE.settings && (flags & ACK) === 0) {
      this.#ready = true;
      this.#send(frame(TYPE.settings, ACK, 0));
    } else if (type === TYPE.ping && (flags & ACK) === 0) {
      this.#send(frame(TYPE.ping, ACK, 0, payload));
    } else if (type === TYPE.goaway) {
      this.#closed = true;
    } else if ((type === TYPE.headers || type === TYPE.reset) && this.#waiting.delete(id)) {
      this.#result.open -= 1;
      if (type === TYPE.reset) this.#result.refused += 1;
      else {
        this.#result.resets += 1;
        this.#send(frame(TYPE.reset, 0, id, CANCEL));
      }
    }
  }
}

function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  payload.copy(bytes, 9);
  return bytes;
}

/** A GET, in HPACK without a table (RFC 7541): `:method` and `:scheme` by their static index, the others as literals. */
function requestBlock(domain: string): Buffer {
  const literal = (index: number, text: string) => Buffer.concat([Buffer.of(index, text.length), Buffer.from(text)]);
  return Buffer.concat([Buffer.of(0x82, 0x87), literal(4, '/storm'), literal(1, domain)]);
}
