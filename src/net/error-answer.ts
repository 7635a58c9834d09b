import { STATUS_CODES } from 'node:http';
import type { BackdialError } from '../core/errors.ts';

/** An RFC 8941 token, which a name in Proxy-Status must be, else it is quoted. */
const STRUCTURED_TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/;

/** An answer that the system makes itself. */
export interface Answer {
  readonly status: number;
  /** `[name, value, ...]`. */
  readonly headers: string[];
  readonly body: Buffer;
}

/** An answer of plain text, its status in the first line; `text` follows it. */
export function textAnswer(status: number, text = ''): Answer {
  const body = Buffer.from(`${`${status} ${STATUS_CODES[status] ?? ''}`.trim()}\n${text}`);
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
  return { status, headers, body };
}

/**
 * An answer that names the error, in Proxy-Status (RFC 9209) and in words. `name` is who says so; `about` ends the text;
 * `status` is another one than the error's.
 */
export function errorAnswer(
  error: BackdialError,
  name: string,
  about = '',
  status: number = error.entry.status,
): Answer {
  const { proxyError, message } = error.entry;
  const answer = textAnswer(status, `${error.code}: ${message}\n${about}`);
  const said = STRUCTURED_TOKEN.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`;
  answer.headers.push('Proxy-Status', `${said}; error=${proxyError}; details="${error.code}"`);
  return answer;
}
