import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import type { ProxyEndpoint } from './proxy-protocol.ts';

/** What has been understood of a connection that begins with a PROXY protocol header. */
export type ProxyHeaderVerdict =
  | { readonly kind: 'more' }
  /**
   * `source`: the far end of the connection that the proxy accepted; null where the header does not tell (LOCAL, UNKNOWN, other
   * families): it is the connection's own. `rest`: what came behind the header.
   */
  | { readonly kind: 'header'; readonly source: ProxyEndpoint | null; readonly rest: Buffer }
  | { readonly kind: 'invalid'; readonly problem: string };

const LINE_START = Buffer.from('PROXY ');
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** The longest line of version 1, CR LF included. */
const MAX_LINE_BYTES = 107;
/** Version 2: signature, version and command, family, length. */
const FIXED_BYTES = 16;
const MORE = { kind: 'more' } as const;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Reads a header of version 1 or 2 (proxy-protocol.txt of HAProxy, section 2), split in any way. Holds at most 107 bytes: the
 * TLVs of version 2 are skipped, not kept. Not to be used any more after a verdict other than `more`.
 */
export class ProxyHeaderReader {
  #held: Buffer = Buffer.alloc(0);
  #seen = 0;
  /** Known once the fixed part of version 2 is there: all of the header, and what it says. */
  #binary: { readonly bytes: number; readonly source: ProxyEndpoint | null } | null = null;

  /** Bytes that came so far. */
  get seen(): number {
    return this.#seen;
  }

  push(chunk: Buffer): ProxyHeaderVerdict {
    const before = this.#seen;
    this.#seen += chunk.length;
    if (this.#binary === null) {
      this.#held = Buffer.concat([this.#held, chunk.subarray(0, MAX_LINE_BYTES - this.#held.length)]);
      const verdict = this.#judge();
      if (typeof verdict === 'string') return { kind: 'invalid', problem: verdict };
      if (verdict === null) return MORE;
      this.#binary = verdict;
    }
    const { bytes, source } = this.#binary;
    return this.#seen < bytes ? MORE : { kind: 'header', source, rest: chunk.subarray(bytes - before) };
  }

  /** Null: more is needed. A text: what is wrong. */
  #judge(): { bytes: number; source: ProxyEndpoint | null } | string | null {
    const held = this.#held;
    if (begins(held, LINE_START)) return held.length < LINE_START.length ? null : readLine(held);
    if (begins(held, SIGNATURE)) return held.length < FIXED_BYTES ? null : readBinary(held);
    return `no PROXY header: it begins with ${held.subarray(0, SIGNATURE.length).toString('hex')}`;
  }
}

function begins(held: Buffer, start: Buffer): boolean {
  const length = Math.min(held.length, start.length);
  return held.compare(start, 0, length, 0, length) === 0;
}

function readLine(held: Buffer) {
  const end = held.findIndex((byte) => byte === CR || byte === LF);
  if (end === -1 || (end === held.length - 1 && held[end] === CR)) {
    return held.length < MAX_LINE_BYTES ? null : `the PROXY line is longer than ${MAX_LINE_BYTES} bytes`;
  }
  if (held[end] !== CR || held[end + 1] !== LF) return 'the PROXY line does not end in CR LF';
  const bytes = end + 2;
  const line = held.toString('latin1', LINE_START.length, end);
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) return { bytes, source: null };
  const [family, from = '', to = '', fromPort = '', toPort = '', ...more] = line.split(' ');
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : null;
  if (isAddress === null) return 'the PROXY line names no family: TCP4, TCP6 or UNKNOWN';
  if (!isAddress(from) || !isAddress(to)) return `the PROXY line has no two addresses of ${family}`;
  if (more.length > 0 || !isPort(fromPort) || !isPort(toPort)) return 'the PROXY line does not end in two ports';
  return { bytes, source: { address: canonical(from), port: Number(fromPort) } };
}

/** Without a zone, which means something on another machine only. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** Bytes of two addresses and two ports, by address family; the others are not for TCP over IP. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 17: 4, 33: 16 };
const MAX_FAMILY = 3;
const MAX_TRANSPORT = 2;

function readBinary(held: Buffer) {
  const [versionAndCommand = 0, family = 0] = held.subarray(SIGNATURE.length);
  const bytes = FIXED_BYTES + held.readUInt16BE(FIXED_BYTES - 2);
  if (versionAndCommand >> 4 !== 2) return `version ${versionAndCommand >> 4} of the PROXY protocol; known: 1, 2`;
  const command = versionAndCommand & 0xf;
  if (command > 1) return `command ${command} of the PROXY protocol; known: 0 (LOCAL), 1 (PROXY)`;
  if (command === 0) return { bytes, source: null };
  if (family >> 4 > MAX_FAMILY || (family & 0xf) > MAX_TRANSPORT) return `family ${family} of the PROXY protocol`;
  const size = ADDRESS_BYTES[family];
  if (size === undefined) return { bytes, source: null };
  const needed = FIXED_BYTES + 2 * size + 4;
  if (bytes < needed) return `a PROXY header of ${bytes} bytes, too short for its addresses (${needed})`;
  if (held.length < needed) return null;
  const address = addressOf(held.subarray(FIXED_BYTES, FIXED_BYTES + size));
  return { bytes, source: { address, port: held.readUInt16BE(FIXED_BYTES + 2 * size) } };
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return canonical(bytes.toString('hex').replace(/.{4}(?!$)/g, '$&:'));
}

/** One spelling for one address: it is compared and counted by. */
function canonical(address: string): string {
  return isIPv4(address) ? address : new SocketAddress({ address, family: 'ipv6' }).address;
}
