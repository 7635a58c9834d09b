import { ALERT, type Alert } from './alert.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/** What a TLS client asks for before anything is encrypted. */
export interface ClientHello {
  readonly kind: 'hello';
  /** The host name of SNI as sent (latin1, case and dots untouched); null without SNI. With ECH, the outer one. */
  readonly serverName: string | null;
  /** Protocol names of ALPN (latin1), in the client's order; empty without ALPN. GREASE values are among them. */
  readonly alpn: readonly string[];
}

export type HelloVerdict =
  | ClientHello
  | { readonly kind: 'need-more' }
  /** No ClientHello: `code` is the TLS alert to answer with, `problem` says why. */
  | { readonly kind: 'alert'; readonly code: Alert; readonly problem: string };

/** Largest ClientHello, bytes, its 4-byte header not counted. Post-quantum hellos have about 2 kB. */
export const MAX_HELLO_BYTES = 65_536;
/** The most bytes that a hello of {@link MAX_HELLO_BYTES} has on the wire: records of one byte each. */
export const MAX_HELLO_WIRE_BYTES = 6 * (MAX_HELLO_BYTES + 4);

const RECORD_HANDSHAKE = 22;
const MAX_RECORD_BYTES = 16_384;
const MESSAGE_CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const NAME_TYPE_HOST = 0;

const NEED_MORE: HelloVerdict = { kind: 'need-more' };

/**
 * Reads a ClientHello (RFC 8446, sections 4.1.2 and 5.1) from bytes that come in any pieces and over any number of
 * records. Pure: no socket, no clock. Its memory is the hello itself, grown as bytes arrive. Never throws.
 */
export class ClientHelloReader {
  readonly #message = new GrowingBuffer();
  #verdict: HelloVerdict = NEED_MORE;
  /** Bytes of the current record's 5-byte header that have been read. */
  #headerBytes = 0;
  #recordLength = 0;
  #recordLeft = 0;

  /** Takes the next bytes and says what is known. Once it is not `need-more`, further bytes change nothing. */
  push(chunk: Buffer): HelloVerdict {
    let at = 0;
    while (this.#verdict.kind === 'need-more' && at < chunk.length) {
      if (this.#recordLeft === 0) {
        this.#readHeaderByte(chunk[at] ?? 0);
        at += 1;
      } else {
        const part = chunk.subarray(at, at + this.#recordLeft);
        this.#message.append(part);
        this.#recordLeft -= part.length;
        at += part.length;
        this.#verdict = judge(this.#message.bytes());
      }
    }
    return this.#verdict;
  }

  #readHeaderByte(byte: number): void {
    switch (this.#headerBytes++) {
      case 0:
        if (byte !== RECORD_HANDSHAKE) this.#verdict = refused(ALERT.unexpectedMessage, 'not a TLS handshake record');
        break;
      case 1:
        if (byte !== 3) this.#verdict = refused(ALERT.decodeError, 'not a TLS record version');
        break;
      case 2:
        break;
      case 3:
        this.#recordLength = byte << 8;
        break;
      default:
        this.#headerBytes = 0;
        this.#recordLeft = this.#recordLength | byte;
        if (this.#recordLeft === 0) this.#verdict = refused(ALERT.decodeError, 'an empty record');
        if (this.#recordLeft > MAX_RECORD_BYTES) {
          this.#verdict = refused(ALERT.recordOverflow, `a record of more than ${MAX_RECORD_BYTES} bytes`);
        }
    }
  }
}

function refused(code: Alert, problem: string): HelloVerdict {
  return { kind: 'alert', code, problem };
}

/** The verdict on a handshake message of which `message` has arrived. */
function judge(message: Buffer): HelloVerdict {
  if (message.length > 0 && message[0] !== MESSAGE_CLIENT_HELLO) {
    return refused(ALERT.unexpectedMessage, 'a handshake message that is no ClientHello');
  }
  if (message.length < 4) return NEED_MORE;
  const length = message.readUIntBE(1, 3);
  if (length > MAX_HELLO_BYTES) {
    return refused(ALERT.decodeError, `a ClientHello of more than ${MAX_HELLO_BYTES} bytes`);
  }
  if (message.length < 4 + length) return NEED_MORE;
  return parseHello(message.subarray(4, 4 + length)) ?? refused(ALERT.decodeError, 'a malformed ClientHello');
}

/** Null when the body breaks the grammar anywhere, so that no two readers of it can disagree. */
function parseHello(body: Buffer): ClientHello | null {
  const cursor = new Cursor(body);
  cursor.take(2 + 32); // legacy_version, random
  const session = cursor.vector(1);
  const ciphers = cursor.vector(2);
  const compressions = cursor.vector(1);
  if (session === null || session.length > 32) return null;
  if (ciphers === null || ciphers.length === 0 || ciphers.length % 2 !== 0) return null;
  if (compressions === null || compressions.length === 0) return null;
  if (cursor.atEnd) return { kind: 'hello', serverName: null, alpn: [] };
  const extensions = cursor.vector(2);
  return extensions === null || !cursor.atEnd ? null : parseExtensions(new Cursor(extensions));
}

function parseExtensions(cursor: Cursor): ClientHello | null {
  let serverName: string | null | undefined;
  let alpn: string[] | null | undefined;
  while (!cursor.atEnd) {
    const type = cursor.number(2);
    const data = cursor.vector(2);
    if (type === null || data === null) return null;
    if (type === EXTENSION_SERVER_NAME) {
      if (serverName !== undefined) return null; // Twice: whoever comes next might take the other one.
      serverName = parseServerName(data);
      if (serverName === null) return null;
    } else if (type === EXTENSION_ALPN) {
      if (alpn !== undefined) return null;
      alpn = parseAlpn(data);
      if (alpn === null) return null;
    }
  }
  return { kind: 'hello', serverName: serverName ?? null, alpn: alpn ?? [] };
}

/** RFC 6066, section 3: a list of names, of which at most one is a host name. */
function parseServerName(data: Buffer): string | null {
  const outer = new Cursor(data);
  const list = outer.vector(2);
  if (list === null || list.length === 0 || !outer.atEnd) return null;
  const cursor = new Cursor(list);
  let host: string | null = null;
  while (!cursor.atEnd) {
    const type = cursor.number(1);
    const name = cursor.vector(2);
    if (type === null || name === null) return null;
    if (type !== NAME_TYPE_HOST) continue;
    if (host !== null) return null;
    host = name.toString('latin1');
  }
  return host;
}

/** RFC 7301, section 3.1. */
function parseAlpn(data: Buffer): string[] | null {
  const outer = new Cursor(data);
  const list = outer.vector(2);
  if (list === null || list.length === 0 || !outer.atEnd) return null;
  const cursor = new Cursor(list);
  const names: string[] = [];
  while (!cursor.atEnd) {
    const name = cursor.vector(1);
    if (name === null || name.length === 0) return null;
    names.push(name.toString('latin1'));
  }
  return names;
}

/** Walks over bytes; whatever would reach past their end is null, and so is all that follows. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer | null {
    const start = this.#at;
    this.#at += length;
    return this.#at > this.#bytes.length ? null : this.#bytes.subarray(start, this.#at);
  }

  number(bytes: 1 | 2): number | null {
    return this.take(bytes)?.readUIntBE(0, bytes) ?? null;
  }

  /** A vector whose length precedes it in so many bytes. */
  vector(lengthBytes: 1 | 2): Buffer | null {
    const length = this.number(lengthBytes);
    return length === null ? null : this.take(length);
  }
}
