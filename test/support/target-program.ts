import { createHash } from 'node:crypto';
import * as http from 'node:http';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** The file of this program: a target in a process of its own, to be killed. Its argument is the port. */
export const TARGET_PROGRAM = fileURLToPath(import.meta.url);

/** Length of every answer's body, bytes. */
export const BODY_BYTES = 1_000_000;

/** How much of an answer comes before it stalls for ever: its head, half of its body, or all (it does not stall). */
export type StopAt = 'head' | 'middle' | 'end';

/** What the program tells its parent of each upload: that its head came, and then whether all of it did. */
export interface UploadReport {
  readonly upload: string;
  readonly state: 'begun' | 'complete' | 'cut';
}

/** The body of every answer; any part of it that is missing changes the hash. */
export function targetBody(): Buffer {
  const pattern = createHash('sha512').update('body').digest();
  return Buffer.alloc(BODY_BYTES, pattern);
}

if (process.argv[1] === TARGET_PROGRAM) serve(Number(process.argv[2]));

function serve(port: number): void {
  const body = targetBody();
  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('request', (request, response) => {
    const url = new URL(request.url ?? '/', 'http://target');
    if (url.pathname === '/ready') response.end('ready');
    else if (url.pathname === '/upload') void takeUpload(request, url.searchParams.get('id') ?? '');
    else void answer(response, body, url.searchParams);
  });
  server.on('upgrade', (request: http.IncomingMessage, socket: Duplex) => {
    const url = new URL(request.url ?? '/', 'http://target');
    socket.on('error', () => {});
    socket.resume();
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: backdial-test\r\n\r\n');
    socket.write(partOf(body, url.searchParams));
    if (url.searchParams.get('stop') === 'end') socket.end();
  });
  server.listen(port, '127.0.0.1');
}

async function takeUpload(request: http.IncomingMessage, upload: string): Promise<void> {
  request.resume();
  const report = (state: UploadReport['state']) => process.send?.({ upload, state } satisfies UploadReport);
  report('begun');
  request.on('error', () => {});
  await new Promise((resolve) => request.once('close', resolve));
  report(request.complete ? 'complete' : 'cut');
}

async function answer(response: http.ServerResponse, body: Buffer, query: URLSearchParams): Promise<void> {
  const framing = query.get('framing');
  response.on('error', () => {});
  response.writeHead(200, framing === 'length' ? { 'content-length': body.length } : {});
  response.flushHeaders();
  const part = partOf(body, query);
  if (part.length > 0) response.write(part);
  if (query.get('stop') === 'end') response.end();
}

function partOf(body: Buffer, query: URLSearchParams): Buffer {
  const stop = query.get('stop');
  return stop === 'head' ? Buffer.alloc(0) : stop === 'middle' ? body.subarray(0, body.length / 2) : body;
}
