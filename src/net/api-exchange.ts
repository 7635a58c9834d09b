import type { IncomingMessage, ServerResponse } from 'node:http';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { ApiAnswer } from './api-route.ts';

/** Largest body of a request, bytes. */
export const MAX_API_BODY_BYTES = 65_536;

/**
 * For every answer: nothing is stored, framed, or guessed at, and no other site gets to use it. A page that is served here
 * says its own Content-Security-Policy.
 */
const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Reads a body as JSON, whatever its Content-Type says. Fails with `request-invalid` and `body-too-large`. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  const limit = () => new BackdialError('body-too-large', `at most ${MAX_API_BODY_BYTES} bytes are read`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_API_BODY_BYTES) throw limit();
  try {
    // Node throws away what is left of a body behind the answer, so that its sender gets to read it.
    for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > MAX_API_BODY_BYTES) break;
      parts.push(part);
    }
  } catch (error) {
    throw asBackdialError(error, 'visitor-reset');
  }
  if (bytes > MAX_API_BODY_BYTES) throw limit();
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)));
  } catch (cause) {
    const what =
      bytes === 0 ? 'the body is empty' : `the body is no JSON: ${cause instanceof Error ? cause.message : ''}`;
    throw new BackdialError('request-invalid', what, { cause });
  }
}

/** Writes an answer; `last` closes the connection behind it. */
export function writeAnswer(
  response: ServerResponse,
  answer: ApiAnswer,
  { head, last }: { readonly head: boolean; readonly last: boolean },
): void {
  if (response.destroyed || response.headersSent) return;
  const [type, body] = bodyOf(answer);
  response.writeHead(answer.status ?? 200, {
    ...HEADERS,
    'Content-Type': type,
    ...answer.headers,
    'Content-Length': body.length,
    ...(last ? { Connection: 'close' } : {}),
  });
  response.end(head ? undefined : body);
}

function bodyOf(answer: ApiAnswer): [type: string, body: Uint8Array] {
  if ('bytes' in answer) return [answer.type, answer.bytes];
  if ('text' in answer) return ['text/plain; charset=utf-8', Buffer.from(answer.text, 'utf8')];
  return ['application/json; charset=utf-8', Buffer.from(`${JSON.stringify(answer.json)}\n`, 'utf8')];
}
