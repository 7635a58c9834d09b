import { BlockList, isIP, isIPv6, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { formatAddress } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { connectSocket, type OpenOptions, peerProblem, startTls } from './open-socket.ts';

/** Environment variables, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A proxy that opens connections with `CONNECT`. */
export interface HttpProxy {
  /** True for `https://`: TLS to the proxy itself, verified with the system's authorities. */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** `login:password` of the URL. */
  readonly credentials: Secret | null;
}

/**
 * The proxy for a connection to `host:port`: HTTPS_PROXY (or https_proxy, which wins) unless NO_PROXY (or no_proxy)
 * covers the host. Null: connect directly. Fails with `config-invalid` for a value that is no URL of a proxy.
 */
export function proxyFor(environment: Environment, host: string, port: number): HttpProxy | null {
  const url = environment.https_proxy || environment.HTTPS_PROXY || '';
  if (url === '') return null;
  const proxy = parseProxy(url);
  const exceptions = environment.no_proxy || environment.NO_PROXY || '';
  return isExcepted(exceptions, host, port) ? null : proxy;
}

const MAX_ANSWER_BYTES = 16_384;

/**
 * A connection to `host:port` through a proxy; the name is resolved there. Fails with `proxy-refused`, whatever went
 * wrong on the way to the proxy or in it. The socket is paused; bytes behind the proxy's
 * answer are left in it.
 */
export async function connectThroughProxy(
  proxy: HttpProxy,
  host: string,
  port: number,
  options: OpenOptions,
): Promise<Socket> {
  const expires = performance.now() + options.timeoutMs;
  const rest = (): OpenOptions => ({ ...options, timeoutMs: Math.max(1, Math.ceil(expires - performance.now())) });
  try {
    const raw = await connectSocket({ host: proxy.host, port: proxy.port }, rest());
    const socket = proxy.secure ? await startTls(raw, { host: proxy.host }, rest()) : raw;
    try {
      if (socket instanceof TLSSocket) checkProxy(socket, proxy.host);
      await requestConnect(socket, formatAddress({ host, port }), proxy.credentials, rest());
    } catch (error) {
      socket.destroy();
      raw.destroy();
      throw error;
    }
    return socket;
  } catch (error) {
    options.signal?.throwIfAborted();
    const wrapped = asBackdialError(error, 'proxy-refused');
    throw new BackdialError('proxy-refused', `${formatAddress(proxy)}: ${detailOf(wrapped)}`, { cause: error });
  }
}

function checkProxy(socket: TLSSocket, host: string): void {
  const problem = peerProblem(socket, host);
  if (problem !== null) throw new Error(`its certificate is not trusted (${problem})`);
}

function detailOf(error: BackdialError): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/**
 * Asks for a byte stream to `authority` on an open connection, with `login:password` where it is not null. Rejects with a
 * plain error that says what `CONNECT` was answered, with the `status` of an answer that is no 2xx. The socket is paused then and holds what came behind the answer.
 */
export function requestConnect(
  socket: Socket,
  authority: string,
  secret: Secret | null,
  options: OpenOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socketOnData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end === -1) {
        if (received.length > MAX_ANSWER_BYTES) settle(new Error('its answer to CONNECT has no end'));
        return;
      }
      const line = received.toString('latin1', 0, received.indexOf('\r\n'));
      const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line)?.[1];
      if (status === undefined) return settle(new Error('its answer to CONNECT is not HTTP/1'));
      if (!status.startsWith('2')) return settle(refusal(status, authority));
      const rest = received.subarray(end + 4);
      settle(null);
      if (rest.length > 0) socket.unshift(rest);
    };
    const socketOnError = (error: Error) => settle(error);
    const socketOnClose = () => settle(new Error('it closed the connection without an answer to CONNECT'));
    const signalOnAbort = () => settle(new Error('aborted'));
    const settle = (error: Error | null) => {
      clearTimeout(deadline);
      options.signal?.removeEventListener('abort', signalOnAbort);
      socket
        .off('data', socketOnData)
        .off('error', socketOnError)
        .off('close', socketOnClose)
        .off('end', socketOnClose);
      socket.pause();
      if (error === null) resolve();
      else reject(error);
    };
    const deadline = setTimeout(
      () => settle(new Error(`it did not answer CONNECT within ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    socket.on('error', socketOnError);
    socket.on('close', socketOnClose);
    socket.on('end', socketOnClose);
    options.signal?.addEventListener('abort', signalOnAbort, { once: true });
    if (options.signal?.aborted === true) return signalOnAbort();
    socket.on('data', socketOnData);
    const basic = secret === null ? '' : `Proxy-Authorization: Basic ${encode(secret)}\r\n`;
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${basic}\r\n`);
  });
}

function encode(secret: Secret): string {
  return Buffer.from(secret.reveal(), 'utf8').toString('base64');
}

function refusal(status: string, authority: string): Error {
  const hint = status === '407' ? '; give login:password in the URL of HTTPS_PROXY' : '';
  return Object.assign(new Error(`it answered CONNECT ${authority} with ${status}${hint}`), { status: Number(status) });
}

function parseProxy(text: string): HttpProxy {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || url.hostname === '' || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new BackdialError('config-invalid', 'HTTPS_PROXY must be http://[login:password@]host:port, or https://');
  }
  const secure = url.protocol === 'https:';
  const login = `${decode(url.username)}:${decode(url.password)}`;
  return {
    secure,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    credentials: login === ':' ? null : new Secret(login),
  };
}

/** Percent-decoded; as it stands where it is no valid encoding. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * As curl and Go read NO_PROXY: entries between commas or spaces; `*` is every host; a name covers itself and all below
 * it, with or without a leading dot; an IP address, a network (`10.0.0.0/8`), and `host:port` for one port only.
 */
function isExcepted(exceptions: string, host: string, port: number): boolean {
  const name = host.toLowerCase();
  return exceptions
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && covers(entry, name, port));
}

function covers(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true;
  if (isIP(host) !== 0 && entry.includes('/')) return inNetwork(entry, host);
  const withPort = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(entry);
  if (withPort !== null && Number(withPort[2]) !== port) return false;
  const bare = (withPort?.[1] ?? entry).replace(/^\[|\]$/g, '').replace(/^\*?\./, '');
  return host === bare || (isIP(host) === 0 && host.endsWith(`.${bare}`));
}

function inNetwork(entry: string, host: string): boolean {
  const [address = '', prefix = ''] = entry.split('/');
  const version = isIP(address);
  if (version === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (version === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(prefix), version === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}
