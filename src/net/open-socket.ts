import net, { type NetConnectOpts, type Socket } from 'node:net';
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { keepRawSocket } from './reset.ts';
import { SplicedSocket } from './spliced-socket.ts';

/** What bounds the opening of a connection. */
export interface OpenOptions {
  /** Starts with the call; ends when the connection is open. The error of a deadline has the code `ETIMEDOUT`. */
  readonly timeoutMs: number;
  /** Abort destroys the socket and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const KEEP_ALIVE_MS = 60_000;

/**
 * A TCP or Unix connection, with `noDelay` and keep-alive; `spliced`: as suits bytes that are to pass as they are. Rejects with
 * the platform's error (`code`), the socket destroyed. The socket keeps an `error` listener, so that it can be handed over in
 * any turn.
 */
export function connectSocket(
  address: SocketAddress,
  options: OpenOptions & { readonly allowHalfOpen?: boolean; readonly spliced?: boolean },
): Promise<Socket> {
  const { allowHalfOpen = false, spliced = false } = options;
  const target: NetConnectOpts =
    'path' in address
      ? { path: address.path }
      : {
          host: address.host,
          port: address.port,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: KEEP_ALIVE_MS,
        };
  const all = { ...target, allowHalfOpen };
  const socket = spliced ? new SplicedSocket(all).connect(all) : net.connect(all);
  return whenOpen(socket, 'connect', `the connection to ${formatAddress(address)}`, options);
}

/** What a TLS client says and offers; whom it trusts is judged afterwards, see `peerProblem`. */
export interface StartTlsOptions {
  /** The peer's name: sent as SNI unless it is an IP address, and what its certificate must be valid for. */
  readonly host: string;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | null;
  /** Protocols to offer, the preferred one first; none: no ALPN at all. Default `http/1.1`. */
  readonly alpn?: readonly string[];
  /** PEM of the certificate to show, the leaf first, and of its key. Default: none. */
  readonly certificate?: string;
  readonly key?: string;
}

/**
 * TLS over an open socket, TLS 1.2 at least. The certificate is NOT judged here: the caller asks
 * `peerProblem` (or compares a pin) before it sends anything. Rejects with the platform's error; both sockets are
 * destroyed then.
 */
export function startTls(raw: Socket, tlsOptions: StartTlsOptions, options: OpenOptions): Promise<TLSSocket> {
  const { host, ca, alpn = ['http/1.1'] } = tlsOptions;
  const settings: ConnectionOptions = {
    socket: raw,
    host,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: false,
  };
  if (alpn.length > 0) settings.ALPNProtocols = [...alpn];
  if (tlsOptions.certificate !== undefined) settings.cert = tlsOptions.certificate;
  if (tlsOptions.key !== undefined) settings.key = tlsOptions.key;
  if (net.isIP(host) === 0) settings.servername = host;
  if (ca !== undefined && ca !== null) settings.ca = ca;
  const socket = tls.connect(settings);
  keepRawSocket(socket, raw);
  return whenOpen(socket, 'secureConnect', `the TLS handshake with ${host}`, options).catch((error: unknown) => {
    raw.destroy();
    throw error;
  });
}

/** Why a TLS peer is not trusted, as the platform names it; null when its chain and its name are in order. */
export function peerProblem(socket: TLSSocket, host: string): string | null {
  if (socket.authorized) return null;
  // Typed as Error, it is the code of OpenSSL or Node.
  const code = String(socket.authorizationError);
  if (!isForOtherName(socket)) return code;
  const { subjectaltname, subject } = socket.getPeerCertificate();
  const names = plainNames(String(subjectaltname ?? subject?.CN ?? 'no name'));
  return `it is not for ${host} but for ${names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES)}...` : names}`;
}

/** Names of a certificate as people write them, without the kind of each. */
export function plainNames(altNames: string): string {
  return altNames.replace(/\b(?:DNS|IP Address):/g, '');
}

/** True where the chain of a TLS peer is in order, and its certificate is for other names than the one that was dialled. */
export function isForOtherName(socket: TLSSocket): boolean {
  return !socket.authorized && String(socket.authorizationError) === OTHER_NAME;
}

/** Some certificates are for hundreds of names. */
const MAX_NAMES = 200;
const OTHER_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';

function whenOpen<T extends Socket>(
  socket: T,
  event: 'connect' | 'secureConnect',
  what: string,
  { timeoutMs, signal }: OpenOptions,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let failure: Error | null = null;
    const socketOnError = (error: Error) => {
      failure ??= error;
    };
    const socketOnClose = () => settle(failure ?? new Error(`${what} was closed before it was open`));
    const socketOnOpen = () => settle(null);
    const signalOnAbort = () => settle(asError(signal?.reason));
    const settle = (error: Error | null) => {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', signalOnAbort);
      socket.off('close', socketOnClose).off(event, socketOnOpen);
      if (error === null) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    // Stays for the socket's life: a reset between two owners must not end the process.
    socket.on('error', socketOnError);
    socket.on('close', socketOnClose);
    socket.on(event, socketOnOpen);
    const deadline = setTimeout(() => {
      settle(Object.assign(new Error(`${what} took longer than ${timeoutMs} ms`), { code: 'ETIMEDOUT' }));
    }, timeoutMs);
    signal?.addEventListener('abort', signalOnAbort, { once: true });
    if (signal?.aborted === true) signalOnAbort();
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
