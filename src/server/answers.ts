import { STATUS_CODES } from 'node:http';
import type { Writable } from 'node:stream';
import type { BackdialError, ErrorCode } from '../core/errors.ts';

/** An RFC 8941 token, which a server's name in Proxy-Status must be, else it is quoted. */
const STRUCTURED_TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/;

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** What every answer of the system carries. */
function commonHeaders(body: Buffer, transaction: string | null): string[] {
  const headers = [
    'Date',
    new Date().toUTCString(),
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(body.length),
    // A 404 may be kept by caches, and this one ends when an agent comes back.
    'Cache-Control',
    'no-store',
  ];
  if (transaction !== null) headers.push('X-Transaction-Id', transaction);
  return headers;
}

/** An answer that the system makes itself. */
export interface Answer {
  readonly status: number;
  /** `[name, value, ...]`. */
  readonly headers: string[];
  readonly body: Buffer;
}

/**
 * The answer that gives nothing away (design 6.5): the same for a domain that is unknown, inactive, served by nobody, and for
 * a refused handshake. `transaction` is told unless it is null.
 */
export function unavailableAnswer(status: number, transaction: string | null): Answer {
  const body = Buffer.from(`${status} ${STATUS_CODES[status] ?? ''}`.trim().concat('\n'));
  return { status, headers: commonHeaders(body, transaction), body };
}

/** An answer that names the error, in Proxy-Status (RFC 9209) and in words. */
export function errorAnswer(
  error: BackdialError,
  { serverName, transaction }: { readonly serverName: string; readonly transaction: string | null },
): Answer {
  const { status, proxyError, message } = error.entry;
  const about = transaction === null ? '' : `\ntransaction ${transaction}`;
  const body = Buffer.from(`${status} ${STATUS_CODES[status] ?? ''}\n${error.code}: ${message}${about}\n`);
  const headers = commonHeaders(body, transaction);
  headers.push('Proxy-Status', proxyStatus(serverName, proxyError, error.code));
  if (error.code === 'method-refused') headers.push('Allow', ALLOWED_METHODS);
  return { status, headers, body };
}

/** Writes an answer where there is no exchange: to bytes that were no request. Ends this side of the connection. */
export function writeAnswer(socket: Writable, { status, headers, body }: Answer): void {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${head}Connection: close\r\n\r\n${body.toString('latin1')}`, 'latin1');
}

/** `<server name>; error=<RFC 9209 type>; details="<code>"`. */
export function proxyStatus(serverName: string, proxyError: string, code: ErrorCode): string {
  const name = STRUCTURED_TOKEN.test(serverName) ? serverName : `"${serverName.replace(/["\\]/g, '\\$&')}"`;
  return `${name}; error=${proxyError}; details="${code}"`;
}
