import { BackdialError } from '../core/errors.ts';
import type { Framing } from './head-check.ts';
import { connectionTokens, FIELD, type HeaderRules, isFieldValue, removeNamed } from './header-rules.ts';

/** A response's status line and header lines. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** `[name, value, ...]`, case and order as received; hop-by-hop fields and all that `Connection` named are removed. */
  readonly headers: string[];
  /** How the target delimits the body; `close`: by the end of its connection. */
  readonly framing: Framing | 'close';
  /** `Upgrade` as the target said it; null without. */
  readonly upgrade: string | null;
  /** True when the target takes another request on this connection. */
  readonly reusable: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const LENGTH = /^\d{1,15}$/;

/** What the fields say of the message's framing and of the connection. */
interface Said {
  connection: string;
  upgrade: string | null;
  length: string;
  lengths: number;
  transferEncoding: string | null;
  trailer: boolean;
}

/** Reads a head without its empty line. `method` is the request's: a HEAD has no body. Throws `target-invalid`. */
export function parseResponseHead(text: string, method: string, rules: HeaderRules): ResponseHead {
  const lines = text.split('\r\n');
  const match = STATUS_LINE.exec(lines[0] ?? '');
  if (match === null) throw invalid('no HTTP/1 status line');
  const status = Number(match[2]);
  const said: Said = { connection: '', upgrade: null, length: '', lengths: 0, transferEncoding: null, trailer: false };
  let headers = endToEnd(parseFields(lines, 1), status, rules, said);
  const tokens = said.connection === '' ? [] : connectionTokens(said.connection);
  if (tokens.some((token) => token !== 'keep-alive' && token !== 'close' && token !== 'upgrade')) {
    headers = removeNamed(headers, tokens);
  }
  const http11 = match[1] === '1';
  const framing = responseFraming(status, method, http11, said);
  // Only chunks can carry the trailers that `Trailer` announces.
  if (said.trailer && framing !== 'chunked') headers = removeNamed(headers, ['trailer']);
  const persists = http11 ? !tokens.includes('close') : tokens.includes('keep-alive');
  // Who sends a length or chunks with a 204 may send the body too, in front of the next response.
  const suspect = status === 204 && (said.transferEncoding !== null || (said.lengths > 0 && said.length !== '0'));
  const reusable = persists && framing !== 'close' && !suspect;
  return { status, reason: match[3] ?? '', headers, framing, upgrade: said.upgrade, reusable };
}

/** The pairs of header lines from line `from` on, names unchecked. Throws `target-invalid`. */
export function parseFields(lines: readonly string[], from: number): string[] {
  const fields: string[] = [];
  for (let i = from; i < lines.length; i += 1) {
    const line = lines[i] ?? '';
    const colon = line.indexOf(':');
    if (colon < 1) throw invalid('a header line has no name');
    const value = trimBlanks(line, colon + 1);
    if (!isFieldValue(value)) throw invalid('a header value holds a control character');
    fields.push(line.slice(0, colon), value);
  }
  return fields;
}

function endToEnd(fields: readonly string[], status: number, rules: HeaderRules, said: Said): string[] {
  const headers: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    switch (rules.classify(name)) {
      case FIELD.contentLength:
        said.lengths += 1;
        said.length = value;
        // RFC 9110, section 8.6: not with 204; there are clients that would wait for the body.
        if (status === 204) continue;
        break;
      case FIELD.transferEncoding:
        said.transferEncoding = said.transferEncoding === null ? value : `${said.transferEncoding}, ${value}`;
        continue;
      case FIELD.connection:
        said.connection = said.connection === '' ? value : `${said.connection},${value}`;
        continue;
      case FIELD.upgrade:
        said.upgrade = value;
        continue;
      case FIELD.trailer:
        said.trailer = true;
        break;
      case FIELD.te:
      case FIELD.hop:
      case FIELD.drop:
        continue;
      case FIELD.bad:
        throw invalid('a header name is not a token');
    }
    headers.push(name, value);
  }
  return headers;
}

/** RFC 9112, section 6.3, without its leniency. */
function responseFraming(status: number, method: string, http11: boolean, said: Said): Framing | 'close' {
  const { lengths, length, transferEncoding } = said;
  if (lengths > 1 || (lengths === 1 && !LENGTH.test(length))) throw invalid('Content-Length is not one number');
  if (transferEncoding !== null) {
    if (lengths > 0) throw invalid('both Content-Length and Transfer-Encoding');
    if (!http11) throw invalid('Transfer-Encoding in HTTP/1.0');
    if (transferEncoding.toLowerCase() !== 'chunked') throw invalid('a Transfer-Encoding other than chunked');
  }
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return 'none';
  if (transferEncoding !== null) return 'chunked';
  return lengths === 1 ? Number(length) : 'close';
}

/** Without the optional blanks around a value (SP and HTAB only). */
function trimBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start += 1;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end -= 1;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function invalid(detail: string): BackdialError {
  return new BackdialError('target-invalid', detail);
}
