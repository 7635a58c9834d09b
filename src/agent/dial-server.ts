import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { connectThroughProxy, type HttpProxy } from '../net/http-proxy.ts';
import { connectSocket, isForOtherName, type OpenOptions, peerProblem, startTls } from '../net/open-socket.ts';
import { opensslWords } from '../net/openssl-words.ts';
import { matchesPin, pinOf } from '../net/pin.ts';
import type { ClientProof, Remote, ServerTrust } from './resolve-options.ts';

/** Which server, by which way. */
export interface ServerRoute {
  readonly remote: Remote;
  /** The IP address to dial; null: the proxy resolves the name. */
  readonly address: string | null;
  readonly proxy: HttpProxy | null;
}

/** What both sides of a connection to a server need. */
export interface ServerDialOptions extends OpenOptions {
  /** The certificate that is shown. Default null: none. */
  readonly proof?: ClientProof | null;
}

/**
 * A TLS connection to a server that has proved who it is; nothing has been sent on it yet. `timeoutMs` covers TCP, the
 * proxy and TLS together.
 *
 * Fails with `server-unreachable`, `server-certificate` (the text says what to do), `server-tls`, `proxy-refused`, or the
 * signal's reason; nothing is left open then.
 */
export async function dialServer(
  route: ServerRoute,
  trust: ServerTrust,
  options: ServerDialOptions,
): Promise<TLSSocket> {
  const expires = performance.now() + options.timeoutMs;
  const raw = await openRaw(route, options);
  const { host } = route.remote;
  const timeoutMs = Math.max(1, Math.ceil(expires - performance.now()));
  const { proof = null } = options;
  const socket = await startTls(raw, { host, ca: trust.ca, ...clientTls(proof) }, { ...options, timeoutMs }).catch(
    (error: Error) => {
      options.signal?.throwIfAborted();
      throw new BackdialError('server-tls', `${route.remote.label}: ${tlsProblem(error)}`, { cause: error });
    },
  );
  const problem = distrust(socket, host, trust);
  if (problem === null) return socket;
  socket.destroy();
  throw new BackdialError('server-certificate', `${route.remote.label}: ${problem}`);
}

/** How a certificate is shown. Without ALPN: a server asks for one whom it knows for no visitor. */
export function clientTls(proof: ClientProof | null): { alpn?: string[]; certificate?: string; key?: string } {
  return proof === null ? {} : { alpn: [], certificate: proof.certificate, key: proof.key.reveal() };
}

/** OpenSSL's words for a peer that does not speak TLS at all say nothing to anyone. */
function tlsProblem(error: NodeJS.ErrnoException): string {
  const isOther = error.code === 'ERR_SSL_WRONG_VERSION_NUMBER' || error.code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG';
  return isOther ? 'what listens there does not speak TLS; is the port right?' : opensslWords(error.message);
}

async function openRaw({ remote, address, proxy }: ServerRoute, options: OpenOptions): Promise<Socket> {
  const host = address ?? remote.host;
  if (proxy !== null) return connectThroughProxy(proxy, host, remote.port, options);
  try {
    return await connectSocket({ host, port: remote.port }, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const detail = error instanceof Error ? error.message : String(error);
    const via = host === remote.host ? '' : ` (${formatAddress({ host, port: remote.port })})`;
    throw new BackdialError('server-unreachable', `${remote.label}${via}: ${detail}`, { cause: error });
  }
}

/**
 * Why the server is not trusted, and what to do; null when it is. Everything that was configured has to hold: a pin is
 * enough alone, together with `ca` both are asked for.
 */
export function distrust(socket: TLSSocket, host: string, trust: ServerTrust): string | null {
  if (trust.pin !== null) {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return `it showed no certificate; the pin expected is ${trust.pin}`;
    if (!matchesPin(certificate.raw, trust.pin)) return wrongPin(certificate, trust.pin);
    if (trust.ca === null) return null;
  }
  if (trust.insecure) return null;
  const problem = peerProblem(socket, host);
  if (problem === null) return null;
  const certificate = socket.getPeerX509Certificate();
  const pin = certificate === undefined ? '' : `; if it is the right server, give its pin: ${pinOf(certificate.raw)}`;
  if (isForOtherName(socket)) return `${problem}${trust.ca === null ? pin : ''}`;
  if (OF_TIME.has(problem)) {
    return `${problem}; by the clock of this machine it is ${new Date().toISOString()}${trust.ca === null ? pin : ''}`;
  }
  return trust.ca === null
    ? `${problem}${pin}, or its authority with \`ca\``
    : `${problem}: it is not valid under the \`ca\` that was given`;
}

const OF_TIME: ReadonlySet<string> = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);

function wrongPin(certificate: X509Certificate, expected: string): string {
  return `expected the pin ${expected}, found ${pinOf(certificate.raw)}; give the new one if the server's key was changed on purpose`;
}
