import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { clientTls } from '../../agent/dial-server.ts';
import type { ClientProof } from '../../agent/resolve-options.ts';
import { formatAddress } from '../../core/address.ts';
import { BackdialError } from '../../core/errors.ts';
import { connectThroughProxy, type HttpProxy } from '../../net/http-proxy.ts';
import { connectSocket, startTls } from '../../net/open-socket.ts';
import { opensslWords } from '../../net/openssl-words.ts';
import { checkCertificate } from './certificate-checks.ts';
import { type Finding, Findings, STEP_TIMEOUT_MS } from './findings.ts';
import { checkHandshakes } from './handshake-checks.ts';
import { ownNameAdvice, type ServerSubject } from './subject.ts';

/** One way to a server. */
export interface ServerPath {
  /** Null: the proxy resolves the name. */
  readonly address: string | null;
  readonly proxy: HttpProxy | null;
}

export interface AddressOutcome {
  readonly findings: Finding[];
  /** The platform's code where TCP did not open; null where it did. */
  readonly tcpError: string | null;
}

/** Looks at one address of a server, from TCP to the tunnels of every domain that is claimed there. */
export async function checkAddress(server: ServerSubject, path: ServerPath): Promise<AddressOutcome> {
  const { host, port, label } = server.remote;
  const address = path.address === null ? label : formatAddress({ host: path.address, port });
  const findings = new Findings(address === label ? label : `${label} at ${address}`);
  const started = performance.now();
  let raw: Socket;
  try {
    raw = await openRaw(server, path);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (error instanceof BackdialError) findings.fail('tcp', message, PROXY_ADVICE);
    else findings.fail('tcp', message, TCP_ADVICE[code] ?? UNREACHABLE_ADVICE);
    return { findings: findings.list, tcpError: code };
  }
  findings.ok('tcp', `open after ${Math.round(performance.now() - started)} ms`);
  const socket = await openTls(findings, raw, server);
  if (socket !== null) {
    const trusted = checkCertificate(findings, socket, { host, trust: server.trust });
    // The one that was looked at is the first that is asked for: left unused it were a visitor who fails, in the server's log.
    let unused: TLSSocket | null = socket;
    const connect = async (proof: ClientProof | null): Promise<TLSSocket> => {
      const opened = proof === null && unused !== null ? unused : await openSecure(server, path, proof);
      if (opened === unused) unused = null;
      return opened;
    };
    await checkHandshakes(findings, server, { trusted, connect });
  }
  return { findings: findings.list, tcpError: null };
}

function openRaw({ remote }: ServerSubject, { address, proxy }: ServerPath): Promise<Socket> {
  const options = { timeoutMs: STEP_TIMEOUT_MS };
  const host = address ?? remote.host;
  if (proxy !== null) return connectThroughProxy(proxy, host, remote.port, options);
  return connectSocket({ host, port: remote.port }, options);
}

/**
 * A connection on which nothing was sent yet, in the way of an agent that has this certificate. Whether its peer is to be trusted was
 * judged on the first one.
 */
async function openSecure(server: ServerSubject, path: ServerPath, proof: ClientProof | null): Promise<TLSSocket> {
  const raw = await openRaw(server, path);
  const { host } = server.remote;
  return startTls(raw, { host, ca: server.trust.ca, ...clientTls(proof) }, { timeoutMs: STEP_TIMEOUT_MS });
}

async function openTls(findings: Findings, raw: Socket, server: ServerSubject): Promise<TLSSocket | null> {
  const { host } = server.remote;
  try {
    const socket = await startTls(raw, { host, ca: server.trust.ca }, { timeoutMs: STEP_TIMEOUT_MS });
    findings.ok('tls', `${socket.getProtocol()}, ${socket.getCipher().standardName}`);
    return socket;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    findings.fail('tls', `the handshake failed: ${opensslWords(message)}`, tlsAdvice(code, server));
    return null;
  }
}

function tlsAdvice(code: string, server: ServerSubject): string {
  if (code === 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME') {
    const advice =
      'the server has no certificate for this name: add it, or "*", to `hosts` of its `certificates`, or dial another name of it';
    return `${advice}${ownNameAdvice(server)}`;
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|RECORD_/.test(code)) {
    return 'what listens there does not speak TLS: check the port (443 unless the server listens at another one)';
  }
  if (/VERSION|PROTOCOL|HANDSHAKE_FAILURE|CIPHER/.test(code)) {
    return 'the two have no TLS version or cipher in common: TLS 1.2 or 1.3 with AES-GCM or ChaCha20 is needed; is it the right port?';
  }
  if (code === 'ETIMEDOUT') {
    return 'TCP opens, TLS is not answered: a wrong port, a firewall that inspects TLS, or packets that are too large for the path (MTU)';
  }
  return 'the connection was cut during the TLS handshake: a firewall or proxy that inspects TLS, or a port that does not speak it';
}

const UNREACHABLE_ADVICE =
  'check the address and the way there: routes, VPN, firewalls of this network and of the server';
const PROXY_ADVICE =
  'check HTTPS_PROXY, its login and what it allows; NO_PROXY names servers that are to be dialled directly';
const TCP_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at this port: start the server there (`listen`), or mend the port',
  ETIMEDOUT: 'nothing answers: a firewall drops the packets, or the address is not that of the server',
  ECONNRESET: 'something resets the connection: a firewall, or a limit of connections at the server',
};
