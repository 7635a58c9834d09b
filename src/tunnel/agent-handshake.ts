import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { asBackdialError, BackdialError } from '../core/errors.ts';

/** What the agent says to a server (design 3.1). */
export interface UpgradeRequest {
  /** `Host`: the server's name, with its port unless 443. */
  readonly host: string;
  readonly service: string;
  /** The whole value of `Authorization`, UTF-8; null: none is sent. */
  readonly authorization: string | null;
  readonly domain: string;
  readonly instance: string;
  readonly slot: number;
  readonly streamPerVisitor: boolean;
  /** Of this program, for `User-Agent`. */
  readonly version: string;
}

/** What the server said in its `101`. */
export interface UpgradeAnswer {
  /** `Backdial-Node`: the process that took the tunnel. */
  readonly node: string | null;
  /** `Backdial-Workers`: how many processes share the server's address. */
  readonly workers: number;
}

/** What bounds a handshake, and who is told how it was refused. */
export interface UpgradeOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
  /** Called with the head of an answer other than 101, before the refusal is thrown. */
  readonly onRefusal?: (response: IncomingMessage) => void;
}

/**
 * Asks a server to turn the connection around. Sends nothing after the request until the `101` (RFC 9931); bytes that
 * came with it are put back on the socket. The deadline starts with the call and ends with the response head.
 *
 * Fails with `handshake-refused` (any other status: the text names it), `handshake-timeout`, `handshake-invalid` (no
 * HTTP), `server-unreachable` (the connection broke), `dial-aborted`; the socket is destroyed then.
 */
export function requestUpgrade(
  socket: TLSSocket,
  request: UpgradeRequest,
  options: UpgradeOptions,
): Promise<UpgradeAnswer> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', signalOnAbort);
      return true;
    };
    const fail = (error: BackdialError): void => {
      if (!settle()) return;
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new BackdialError('handshake-timeout', `no answer from ${request.host} in ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    const signalOnAbort = (): void => fail(new BackdialError('dial-aborted'));
    options.signal?.addEventListener('abort', signalOnAbort);
    if (options.signal?.aborted === true) signalOnAbort();
    if (settled) return;

    const client = httpRequest({
      createConnection: () => socket as Duplex,
      method: 'GET',
      path: request.service,
      setHost: false,
      headers: upgradeHeaders(request),
    });
    client.on('error', (error: NodeJS.ErrnoException) => {
      const parse = error.code?.startsWith('HPE_') === true;
      fail(asBackdialError(error, parse ? 'handshake-invalid' : 'server-unreachable'));
    });
    client.on('response', (response: IncomingMessage) => {
      response.resume();
      options.onRefusal?.(response);
      fail(new BackdialError('handshake-refused', `${request.host} answered ${response.statusCode} instead of 101`));
    });
    client.on('upgrade', (response: IncomingMessage, _socket: Duplex, head: Buffer) => {
      const token = response.headers.upgrade?.toLowerCase();
      if (token !== 'ptth') {
        fail(new BackdialError('handshake-invalid', `${request.host} upgraded to ${token ?? 'nothing'}, not ptth`));
        return;
      }
      if (!settle()) return;
      if (head.length > 0) socket.unshift(head);
      const node = response.headers['backdial-node'];
      const answer = { node: typeof node === 'string' ? node : null, workers: workersOf(response) };
      whenWritten(socket, (written) => {
        if (written) resolve(answer);
        else reject(new BackdialError('server-unreachable', `${request.host} closed the connection after its 101`));
      });
    });
    client.end();
  });
}

/**
 * Calls back once the request's write is over, true, or the socket is closed, false. HTTP/2 on a TLS socket that still writes
 * aborts the process. With a thousand sockets that are ready at once, libuv reads answers before Node hears that the requests
 * were written.
 */
function whenWritten(socket: TLSSocket, then: (written: boolean) => void): void {
  if (socket.destroyed) then(false);
  else if (socket.writableLength === 0) then(true);
  else setImmediate(whenWritten, socket, then);
}

function upgradeHeaders(request: UpgradeRequest): string[] {
  const headers = [
    ['Host', request.host],
    ['Connection', 'Upgrade'],
    ['Upgrade', 'ptth'],
    ['ALPN', 'h2'],
    ['Backdial-Domain', request.domain],
    ['Backdial-Instance', request.instance],
    ['Backdial-Slot', String(request.slot)],
    ['User-Agent', `backdial/${request.version}`],
  ];
  if (request.authorization !== null) {
    // Header values travel as latin1; this way the bytes on the wire are the secret's UTF-8.
    headers.push(['Authorization', Buffer.from(request.authorization, 'utf8').toString('latin1')]);
  }
  if (request.streamPerVisitor) headers.push(['Backdial-Stream', 'visitor']);
  return headers.flat();
}

function workersOf(response: IncomingMessage): number {
  const workers = response.headers['backdial-workers'];
  return typeof workers === 'string' && /^[1-9]\d{0,3}$/.test(workers) ? Number(workers) : 1;
}
