import type { RequestHead } from '../net/head-check.ts';
import { fieldValue, HeaderRules, removeNamed } from '../net/header-rules.ts';
import type { VisitorConnection } from './visitor.ts';

/** What visitors may not say: it is this server's to say, or would be taken for its word (design, section 8, point 2). */
export const VISITOR_RULES = new HeaderRules({
  drop: [
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-port',
    'x-forwarded-proto',
    'x-transaction-id',
  ],
  dropPrefixes: ['x-client-cert-', 'backdial-'],
  dropUnderscore: true,
});

/** What targets may not say: an alternative service would take visitors past this server. */
export const TARGET_RULES = new HeaderRules({ drop: ['alt-svc'] });

/** Methods whose request without a body still says so (RFC 9110, section 8.6). */
const EXPECTS_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Who asks, how, and under which id. */
export interface RequestOrigin {
  readonly connection: VisitorConnection;
  readonly scheme: 'https' | 'http';
  /** The value of X-Forwarded-For. */
  readonly forwardedFor: string;
  /** The visitor's address, `ip:port`. */
  readonly visitor: string;
  readonly version: '1.0' | '1.1' | '2';
  readonly transaction: string;
  /** This server's name, for Via. */
  readonly serverName: string;
}

/**
 * The fields that go to the target: the visitor's as they are, then those of this server. Extends `head.headers`, so to be
 * called once.
 */
export function requestHeaders(head: RequestHead, origin: RequestOrigin): string[] {
  const { headers, framing, method } = head;
  const { connection, scheme, forwardedFor, visitor, version, transaction, serverName } = origin;
  if (version === '2') {
    if (framing === 'chunked') headers.push('Transfer-Encoding', 'chunked');
    else if (framing === 'none' && EXPECTS_BODY.has(method) && fieldValue(headers, 'content-length') === null) {
      headers.push('Content-Length', '0');
    }
  }
  headers.push(
    'X-Forwarded-For',
    forwardedFor,
    'X-Forwarded-Host',
    head.authority,
    'X-Forwarded-Port',
    String(head.port ?? (scheme === 'https' ? 443 : 80)),
    'X-Forwarded-Proto',
    scheme,
    'X-Transaction-Id',
    transaction,
    'Via',
    `${version} ${serverName}`,
  );
  // With more than one proxy nobody else can tell which of the entries were believed.
  if (hasThree(forwardedFor)) headers.push('Backdial-Client', visitor);
  if (connection.clientSubject !== null) headers.push('X-Client-Cert-Subject', connection.clientSubject);
  if (head.trailers) headers.push('TE', 'trailers', 'Connection', 'TE');
  return headers;
}

function hasThree(list: string): boolean {
  const first = list.indexOf(',');
  return first !== -1 && list.indexOf(',', first + 1) !== -1;
}

/**
 * The fields of an upgrade request; `key` is ours where the visitor speaks HTTP/2 (RFC 8441, section 5). A key of such a
 * visitor means nothing, and beside ours a target might answer to it.
 */
export function upgradeHeaders(headers: string[], protocol: string, key: string | null): string[] {
  const switching = ['Connection', 'Upgrade', 'Upgrade', protocol];
  if (key === null) return [...headers, ...switching];
  return [...removeNamed(headers, ['sec-websocket-key']), 'Sec-WebSocket-Key', key, ...switching];
}

/** True when the request went through this server already (RFC 9110, section 7.6.3). */
export function hasLoop(via: string, serverName: string): boolean {
  if (via === '') return false;
  const name = serverName.toLowerCase();
  return via.split(',').some(
    (hop) =>
      hop
        .trim()
        .split(/[ \t]+/)[1]
        ?.toLowerCase() === name,
  );
}
