/** A response's head as it is to be sent, framing included. */
export interface WholeHead {
  readonly status: number;
  readonly reason: string;
  /** `[name, value, ...]`, checked: tokens, and values without control characters. */
  readonly headers: string[];
}

/** `[name, value, ...]` as node:http takes trailers. */
export function trailerPairs(trailers: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i] ?? '', trailers[i + 1] ?? '']);
  return pairs;
}

/** What a kept-alive visitor of HTTP/1.1 is told of its connection; `keepAliveMs` 0: nothing of how long it is kept. */
function persistence(keepAliveMs: number): string {
  const seconds = Math.floor(keepAliveMs / 1_000);
  return keepAliveMs === 0
    ? 'Connection: keep-alive\r\n\r\n'
    : `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n\r\n`;
}

/**
 * A whole response on a connection that is kept, in one piece: the bytes that node:http would send, without its two checks of
 * each field and without a gathered write, which cost more than all else that becomes of a small answer.
 */
export function wholeResponse(
  { status, reason, headers }: WholeHead,
  keepAliveMs: number,
  body: Buffer | null,
): Buffer {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  head += persistence(keepAliveMs);
  if (body === null) return Buffer.from(head, 'latin1');
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 'latin1');
  bytes.set(body, head.length);
  return bytes;
}
