import type { ErrorCode } from '../core/errors.ts';

/** As node:http says it of later heads; its own clock would begin after the TLS handshake. */
export function lateHead(): NodeJS.ErrnoException {
  return Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
}

/** What an error of node:http's parser or socket means; null: the connection is lost. */
export function http1ErrorCode({ code = '' }: NodeJS.ErrnoException): ErrorCode | null {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request-timeout';
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers-too-large';
  return code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' ? 'request-invalid' : null;
}
