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

/** Up to the reason, whose places in the line are thereby known. */
const STATUS_LINE = /^HTTP\/1\.[01] [1-5]\d\d(?: |$)/;
const VERSION_AT = 7;
const STATUS_AT = 9;
const STATUS_END = 12;
const REASON_AT = 13;
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
  const line = text.slice(0, lineEnd(text, 0));
  const reason = line.slice(REASON_AT);
  if (!STATUS_LINE.test(line) || !isFieldValue(reason)) throw invalid('no HTTP/1 status line');
  const status = Number(line.slice(STATUS_AT, STATUS_END));
  const said: Said = { connection: '', upgrade: null, length: '', lengths: 0, transferEncoding: null, trailer: false };
  let headers = endToEnd(parseFields(text, line.length + 2), status, rules, said);
  const tokens = said.connection === '' ? [] : connectionTokens(said.connection);
  if (tokens.some((token) => token !== 'keep-alive' && token !== 'close' && token !== 'upgrade')) {
    headers = removeNamed(headers, tokens);
  }
  const http11 = line[VERSION_AT] === '1';
  const framing = responseFraming(status, method, http11, said);
  // Only chunks can carry the trailers that `Trailer` announces.
  if (said.trailer && framing !== 'chunked') headers = removeNamed(headers, ['trailer']);
  const persists = http11 ? !tokens.includes('close') : tokens.includes('keep-alive');
  // Who sends a length or chunks with a 204 may send the body too, in front of the next response.
  const suspect = status === 204 && (said.transferEncoding !== null || (said.lengths > 0 && said.length !== '0'));
  const reusable = persists && framing !== 'close' && !suspect;
  return { status, reason, headers, framing, upgrade: said.upgrade, reusable };
}

/** The pairs of the header lines from `from` on, names unchecked. Throws `target-invalid`. */
export function parseFields(text: string, from: number): string[] {
  const fields: string[] = [];
  for (let at = from, end: number; at < text.length; at = end + 2) {
    end = lineEnd(text, at);
    const colon = text.indexOf(':', at);
    if (colon <= at || colon > end) throw invalid('a header line has no name');
    const value = trimBlanks(text, colon + 1, end);
    if (!isFieldValue(value)) throw invalid('a header value holds a control character');
    fields.push(text.slice(at, colon), value);
  }
  return fields;
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\r\n', from);
  return end === -1 ? text.length : end;
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
        // RFC 9110, section 8.6: not with 204 (there are clients that would wait for the body) nor 1xx (HTTP/2 clients cut the stream).
        if (status < 200 || status === 204) continue;
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
function trimBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function invalid(detail: string): BackdialError {
  return new BackdialError('target-invalid', detail);
}
