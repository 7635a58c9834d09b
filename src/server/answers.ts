import { STATUS_CODES } from 'node:http';
import type { Writable } from 'node:stream';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import { type Answer, errorAnswer as plainErrorAnswer, textAnswer } from '../net/error-answer.ts';

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** Codes after which everyone gets the answer that gives nothing away (design 6.5). */
export const HIDDEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'domain-unknown',
  'domain-inactive',
  'domain-unserved',
  'network-refused',
  'time-refused',
  'certificate-refused',
]);

/**
 * The answer that gives nothing away (design 6.5): the same for a domain that is unknown, inactive, served by nobody, and for
 * a refused handshake. `transaction` is told unless it is null.
 */
export function unavailableAnswer(status: number, transaction: string | null): Answer {
  return withTransaction(textAnswer(status), transaction);
}

/** What an answer says beside the error. */
export interface AnswerContext {
  readonly serverName: string;
  readonly transaction: string | null;
  /** Another status than the error's. */
  readonly status?: number;
}

/** An answer that names the error, in Proxy-Status (RFC 9209) and in words. */
export function errorAnswer(error: BackdialError, { serverName, transaction, status }: AnswerContext): Answer {
  const about = transaction === null ? '' : `transaction ${transaction}\n`;
  const answer = withTransaction(plainErrorAnswer(error, serverName, about, status), transaction);
  if (error.code === 'method-refused') answer.headers.push('Allow', ALLOWED_METHODS);
  return answer;
}

/** What the proxy tells nobody apart: not even which names there are. */
const UNTOLD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([...HIDDEN, 'grant-missing', 'login-impossible']);

export function unknownError(): BackdialError {
  return new BackdialError('domain-unknown');
}

/**
 * The answer of the proxy. Names that are unknown, that nobody serves and that this visitor may not reach are told apart in
 * the log only.
 */
export function proxyAnswer(error: BackdialError, context: AnswerContext): Answer {
  if (UNTOLD.has(error.code)) return errorAnswer(unknownError(), { ...context, status: 502 });
  return errorAnswer(error, error.entry.status === 401 ? { ...context, status: 407 } : context);
}

/** Writes an answer where there is no exchange: to bytes that were no request. Ends this side of the connection. */
export function writeAnswer(socket: Writable, { status, headers, body }: Answer): void {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${head}Connection: close\r\n\r\n${body.toString('latin1')}`, 'latin1');
}

function withTransaction(answer: Answer, transaction: string | null): Answer {
  if (transaction !== null) answer.headers.push('X-Transaction-Id', transaction);
  return answer;
}
