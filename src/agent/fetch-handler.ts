import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { BackdialError } from '../core/errors.ts';

/** Answers a request of the Fetch standard. Its `signal` is aborted when the visitor goes away. */
export type FetchHandler = (request: Request) => Response | Promise<Response>;

/** Answers a request of node:http by a handler of the Fetch standard. Rejects with what the handler, or its body, fails with. */
export async function serveFetch(
  handler: FetchHandler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const left = new AbortController();
  const responseOnClose = (): void => {
    if (!response.writableFinished) left.abort(new BackdialError('visitor-reset'));
  };
  response.once('close', responseOnClose);
  try {
    const answer = await handler(requestOf(request, left.signal));
    if (!(answer instanceof Response) || answer.status === 0) {
      throw new TypeError('the handler gave no Response that can be sent');
    }
    await send(answer, request, response);
  } catch (error) {
    // The visitor is gone: whatever the handler makes of that is no fault of its own.
    if (!left.signal.aborted) throw error;
  } finally {
    response.off('close', responseOnClose);
  }
}

function requestOf(request: IncomingMessage, signal: AbortSignal): Request {
  const { method = 'GET', url = '/', rawHeaders } = request;
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  const scheme = headers.get('x-forwarded-proto') === 'http' ? 'http' : 'https';
  const path = url.startsWith('/') ? url : '/*';
  const isBodyless = method === 'GET' || method === 'HEAD';
  return new Request(`${scheme}://${headers.get('host') ?? 'localhost'}${path}`, {
    method,
    headers,
    signal,
    redirect: 'manual',
    ...(isBodyless ? {} : { body: Readable.toWeb(request) as ReadableStream<Uint8Array>, duplex: 'half' }),
  });
}

/** What a Response may have from a connection of another server; this one has its own. */
const OF_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

async function send(answer: Response, { method }: IncomingMessage, response: ServerResponse): Promise<void> {
  // Read before it came here: what is left would look like all of it.
  if (answer.bodyUsed) throw new TypeError('the body of the Response was read already');
  const reader = answer.body?.getReader() ?? null;
  const fields: string[] = [];
  answer.headers.forEach((value, name) => {
    if (name !== 'set-cookie' && !OF_CONNECTION.has(name)) fields.push(name, value);
  });
  for (const cookie of answer.headers.getSetCookie()) fields.push('set-cookie', cookie);
  response.writeHead(answer.status, answer.statusText, fields);
  if (method === 'HEAD' || reader === null) {
    response.end();
    await reader?.cancel();
    return;
  }
  // Told at once, as by a server of its own; a body may take long to begin.
  response.flushHeaders();
  const responseOnClose = (): void => void reader.cancel().catch(() => {});
  response.once('close', responseOnClose);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || response.destroyed) break;
    if (!response.write(value)) await drained(response);
  }
  response.off('close', responseOnClose);
  response.end();
}

/** Resolves when there is room again, or nobody to write to. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off('drain', settle).off('close', settle);
      resolve();
    };
    response.on('drain', settle).on('close', settle);
    if (response.destroyed) settle();
  });
}
