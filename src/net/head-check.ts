import { METHODS } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';
import { type Authority, parseAuthority } from './authority.ts';
import { connectionTokens, FIELD, type HeaderRules, isFieldValue, isToken, removeNamed } from './header-rules.ts';

/** How a message's body is delimited: not there, by its length in bytes, or in chunks. */
export type Framing = 'none' | 'chunked' | number;

/** A request head that kept every rule of the front door (design, section 8, points 1 and 2). */
export interface RequestHead {
  readonly method: string;
  /** Origin-form, byte for byte as sent, or `*`. */
  readonly target: string;
  /** Canonical: lower case, A-labels, no port, no trailing dot. */
  readonly host: string;
  /** The port that was asked for; null when none was named. */
  readonly port: number | null;
  /** `Host` as the visitor wrote it. */
  readonly authority: string;
  /** `[name, value, ...]` in the visitor's case and order: all that goes to the next hop as it is. */
  readonly headers: string[];
  readonly framing: Framing;
  /** What `Upgrade` asks for, where `Connection` names it, unless it is h2c; for RFC 8441 the `:protocol`. */
  readonly upgrade: string | null;
  /** `TE: trailers` was said. */
  readonly trailers: boolean;
  /** All `Via` values, joined; empty without any. */
  readonly via: string;
  /** All values of an X-Forwarded-For that the rules drop, joined; empty without any. `Connection` does not take it away. */
  readonly forwardedFor: string;
  readonly userAgent: string | null;
  readonly referer: string | null;
}

/** What node:http knows of a request. */
export interface Http1Input {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

/** At most so many header lines; more is `headers-too-large`. */
export const MAX_HEADER_LINES = 100;

/** Tokens in capitals. Of any other one node:http reads no HTTP/1.1 request, from visitors as at the agent; HTTP/2 is no way round. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/;
const ABSOLUTE = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//;
const LENGTH = /^\d{1,15}$/;

/** What one pass over the header lines collects. */
class Collected {
  headers: string[] = [];
  hosts = 0;
  host = '';
  lengths = 0;
  length = '';
  transferEncodings = 0;
  transferEncoding = '';
  connection = '';
  upgrade: string | null = null;
  te = '';
  via = '';
  forwardedFor = '';
  cookieAt = -1;
  userAgent: string | null = null;
  referer: string | null = null;
}

/** Checks an HTTP/1 request head. Gives the clean head, or the code of the rule that it breaks. */
export function checkHttp1Head(input: Http1Input, rules: HeaderRules): RequestHead | ErrorCode {
  const { method, httpVersion } = input;
  if ((httpVersion !== '1.1' && httpVersion !== '1.0') || !KNOWN_METHODS.has(method)) return 'request-invalid';
  const got = collect(input.rawHeaders, 0, rules, httpVersion === '1.0');
  if (typeof got === 'string') return got;
  if (got.hosts !== 1) return 'request-invalid';
  const authority = parseAuthority(got.host);
  if (authority === null) return 'request-invalid';
  const target = method === 'CONNECT' ? input.url : originForm(method, input.url, authority);
  if (target === null) return 'request-invalid';
  const framing = http1Framing(got, httpVersion);
  if (framing === null) return 'request-invalid';
  return finish(got, { method, target, authority, framing });
}

/**
 * Checks an HTTP/2 request head as the `stream` event gives it (pairs, pseudo-header fields first). `ended`: the
 * HEADERS frame had END_STREAM, so that there is no body.
 */
export function checkHttp2Head(raw: readonly string[], ended: boolean, rules: HeaderRules): RequestHead | ErrorCode {
  let method = '';
  let path: string | null = null;
  let scheme = '';
  let named: string | null = null;
  let protocol: string | null = null;
  let i = 0;
  for (; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (name.charCodeAt(0) !== 0x3a) break;
    const value = raw[i + 1] ?? '';
    if (name === ':method') method = value;
    else if (name === ':path') path = value;
    else if (name === ':scheme') scheme = value;
    else if (name === ':authority') named = value;
    else if (name === ':protocol') protocol = value;
    else return 'request-invalid';
  }
  if (!KNOWN_METHODS.has(method)) return 'request-invalid';
  const got = collect(raw, i, rules, false);
  if (typeof got === 'string') return got;
  if (got.hosts > 1 || got.transferEncodings > 0 || got.connection !== '') return 'request-invalid';
  const text = named ?? (got.hosts === 1 ? got.host : '');
  const authority = parseAuthority(text);
  if (authority === null) return 'request-invalid';
  if (got.hosts === 1) {
    if (!sameAuthority(parseAuthority(got.host), authority)) return 'request-invalid';
  } else {
    // HTTP/1.1 has its Host first; a target that reads no further must not miss it.
    got.headers.unshift('Host', text);
    if (got.cookieAt !== -1) got.cookieAt += 2;
  }
  got.host = text;
  const plainConnect = method === 'CONNECT' && protocol === null;
  if (!plainConnect && scheme !== 'https') return 'request-invalid';
  const target = plainConnect ? text : path === null ? null : originForm(method, path, authority);
  if (target === null || (path !== null && ABSOLUTE.test(path))) return 'request-invalid';
  const framing = http2Framing(got, ended || method === 'CONNECT');
  if (framing === null) return 'request-invalid';
  got.upgrade = protocol;
  got.connection = protocol === null ? '' : 'upgrade';
  return finish(got, { method, target, authority, framing });
}

function collect(
  raw: readonly string[],
  from: number,
  rules: HeaderRules,
  ignoreExpect: boolean,
): Collected | ErrorCode {
  let crumbs = 0;
  const got = new Collected();
  const headers = got.headers;
  for (let i = from; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    if (!isFieldValue(value)) return 'request-invalid';
    switch (rules.classify(name)) {
      case FIELD.host:
        got.hosts += 1;
        got.host = value;
        break;
      case FIELD.contentLength:
        got.lengths += 1;
        got.length = value;
        break;
      case FIELD.transferEncoding:
        got.transferEncodings += 1;
        got.transferEncoding = value;
        break;
      case FIELD.connection:
        got.connection = got.connection === '' ? value : `${got.connection},${value}`;
        continue;
      case FIELD.upgrade:
        got.upgrade = got.upgrade === null ? value : `${got.upgrade}, ${value}`;
        continue;
      case FIELD.te:
        got.te += `,${value}`;
        continue;
      case FIELD.via:
        got.via += `,${value}`;
        break;
      case FIELD.expect:
        if (ignoreExpect) continue;
        break;
      case FIELD.cookie:
        // HTTP/2 may cut Cookie into crumbs; HTTP/1.1 knows one line only (RFC 9113, section 8.2.3).
        if (from > 0 && got.cookieAt !== -1) {
          headers[got.cookieAt] += `; ${value}`;
          crumbs += 1;
          continue;
        }
        got.cookieAt = headers.length + 1;
        break;
      case FIELD.userAgent:
        got.userAgent = value;
        break;
      case FIELD.referer:
        got.referer = value;
        break;
      case FIELD.forwardedFor:
        got.forwardedFor = got.forwardedFor === '' ? value : `${got.forwardedFor}, ${value}`;
        continue;
      case FIELD.hop:
      case FIELD.drop:
        continue;
      case FIELD.bad:
        return 'request-invalid';
    }
    headers.push(name, value);
  }
  // Browsers cut Cookie into its pairs, of which there may be more than that.
  if ((raw.length - from) / 2 - crumbs > (rules.maxLines ?? MAX_HEADER_LINES)) return 'headers-too-large';
  return got;
}

function originForm(method: string, url: string, authority: Authority): string | null {
  if (TARGET.test(url)) return url;
  if (url === '*') return method === 'OPTIONS' ? url : null;
  if (!ABSOLUTE.test(url)) return null;
  if (url.slice(0, 8).toLowerCase() !== 'https://') return null;
  const rest = url.slice(8);
  const end = rest.search(/[/?#]/);
  const named = parseAuthority(end === -1 ? rest : rest.slice(0, end));
  if (!sameAuthority(named, authority)) return null;
  if (end === -1) return method === 'OPTIONS' ? '*' : '/';
  const path = rest[end] === '?' ? `/${rest.slice(end)}` : rest.slice(end);
  return TARGET.test(path) ? path : null;
}

function sameAuthority(a: Authority | null, b: Authority): boolean {
  return a !== null && a.name === b.name && (a.port ?? 443) === (b.port ?? 443);
}

function http1Framing(got: Collected, version: string): Framing | null {
  if (got.transferEncodings > 0) {
    const plain = got.transferEncodings === 1 && got.transferEncoding === 'chunked';
    return plain && got.lengths === 0 && version === '1.1' ? 'chunked' : null;
  }
  if (got.lengths === 0) return 'none';
  return got.lengths === 1 && LENGTH.test(got.length) ? Number(got.length) : null;
}

function http2Framing(got: Collected, ended: boolean): Framing | null {
  if (got.lengths > 1 || (got.lengths === 1 && !LENGTH.test(got.length))) return null;
  if (ended) return got.lengths === 0 || Number(got.length) === 0 ? 'none' : null;
  return got.lengths === 1 ? Number(got.length) : 'chunked';
}

const PLAIN_CONNECTION = new Set(['keep-alive', 'close', 'upgrade', 'te', 'http2-settings', 'proxy-connection']);

/**
 * Null for HTTP/2 in the clear (obsolete by RFC 9113, section 3.1): behind a target's 101 requests would come that nobody checks,
 * with fields that only this proxy may set.
 */
function upgradeOf(text: string): string | null {
  return connectionTokens(text).includes('h2c') ? null : text;
}

interface Line {
  readonly method: string;
  readonly target: string;
  readonly authority: Authority;
  readonly framing: Framing;
}

function finish(got: Collected, line: Line): RequestHead | ErrorCode {
  let headers = got.headers;
  let upgrade: string | null = null;
  if (got.connection !== '') {
    const tokens = connectionTokens(got.connection);
    if (!tokens.every(isToken)) return 'request-invalid';
    if (tokens.includes('upgrade') && got.upgrade !== null && got.upgrade !== '') upgrade = upgradeOf(got.upgrade);
    if (!tokens.every((token) => PLAIN_CONNECTION.has(token))) headers = removeNamed(headers, tokens);
  }
  return {
    method: line.method,
    target: line.target,
    host: line.authority.name,
    port: line.authority.port,
    authority: got.host,
    headers,
    framing: line.framing,
    upgrade,
    trailers: got.te !== '' && connectionTokens(got.te).includes('trailers'),
    via: got.via === '' ? '' : got.via.slice(1),
    forwardedFor: got.forwardedFor,
    userAgent: got.userAgent,
    referer: got.referer,
  };
}
