import { randomUUID } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { checkHttp1Head } from '../net/head-check.ts';
import type { Http1Exchange } from '../net/http1-exchange.ts';
import { readProxyRequest } from '../net/proxy-head.ts';
import { chainOf } from './agent-certificate.ts';
import { VISITOR_RULES } from './request-headers.ts';
import type { Arrival } from './visit.ts';
import type { VisitorConnection } from './visitor.ts';

/** Starts with the last byte of an answer that ends a connection. */
const LINGER_MS = 2_000;
const SLASH = 0x2f;

/** A request of node:http as the routers take it. */
export function http1Arrival(
  request: IncomingMessage,
  exchange: Http1Exchange,
  connection: VisitorConnection,
  { upgradable }: { readonly upgradable: boolean },
): Arrival {
  const { method = '', url = '', httpVersion, rawHeaders } = request;
  const input = { method, url, httpVersion, rawHeaders };
  return {
    exchange,
    connection,
    method,
    path: url,
    head: checkHttp1Head(input, VISITOR_RULES),
    transaction: randomUUID(),
    start: Date.now(),
    began: performance.now(),
    upgradable,
    proxy: url.charCodeAt(0) === SLASH ? null : readProxyRequest(input, VISITOR_RULES),
    way: 'https',
    chain: () => chainOf(request.socket),
  };
}

/** A response on a socket that node:http has let go of; the connection ends with it. */
export function manualResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.end();
    lingerThenDestroy(socket);
  });
  return response;
}

/** Reads and ignores for a moment what is still coming: unread bytes would turn the end into a reset. */
export function lingerThenDestroy(socket: Socket): void {
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}
