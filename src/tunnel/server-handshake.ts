import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { BackdialError } from '../core/errors.ts';
import { canonicalName, toDomain } from '../core/host-name.ts';
import { Secret } from '../core/secret.ts';
import type { HandshakeHead } from './types.ts';

/** Upgrade tokens of the handshake: draft-kazuho-ptth-ptth's, and ONVIF Uplink's. */
export const UPGRADE_TOKENS: readonly string[] = ['ptth', 'h2c-reverse'];

const MAX_SECRET_BYTES = 128;
const MAX_SLOT = 65_535;
const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** What an agent shows to prove who it is. */
export interface Credentials {
  /** The user name of Basic: an identity of the server's grants. Null with Bearer. */
  readonly identity: string | null;
  readonly secret: Secret;
}

/** A handshake as it was sent; nothing of it is believed yet. */
export interface HandshakeRequest {
  readonly head: HandshakeHead;
  /** Null when there was no Authorization. */
  readonly credentials: Credentials | null;
  /** The upgrade token to answer with. */
  readonly token: string;
}

/** Who asks for more than a tunnel (design 3.2), as it was sent; nothing of it is believed yet. */
export interface ServiceRequest {
  readonly domain: string;
  readonly instance: string;
  readonly credentials: Credentials | null;
}

/** Reads the fields that a plain request to the service path shares with a handshake. Fails with `handshake-invalid`. */
export function readServiceRequest(request: IncomingMessage): ServiceRequest {
  const credentials = readCredentials(single(request, 'authorization'));
  return { domain: readDomain(request, credentials), instance: readInstance(request), credentials };
}

/** The upgrade token of a request that may be a handshake; null when it asks for anything else. */
export function upgradeToken(request: IncomingMessage): string | null {
  const token = request.headers.upgrade?.toLowerCase();
  return token !== undefined && UPGRADE_TOKENS.includes(token) ? token : null;
}

/** Reads the handshake of design 3.1. Fails with `handshake-invalid`, naming the field. */
export function readHandshake(request: IncomingMessage): HandshakeRequest {
  const token = upgradeToken(request);
  if (request.method !== 'GET') throw invalid(`method ${request.method}`);
  if (token === null) throw invalid('Upgrade is neither ptth nor h2c-reverse');
  const alpn = single(request, 'alpn');
  if (alpn !== null && alpn.toLowerCase() !== 'h2') throw invalid('ALPN is not h2');
  const { domain, instance, credentials } = readServiceRequest(request);
  const slot = single(request, 'backdial-slot') ?? '0';
  if (!/^\d{1,5}$/.test(slot) || Number(slot) > MAX_SLOT) throw invalid('Backdial-Slot is not a number');
  const stream = single(request, 'backdial-stream');
  if (stream !== null && stream !== 'visitor') throw invalid('Backdial-Stream is not `visitor`');
  return {
    head: {
      domain,
      instance,
      slot: Number(slot),
      streamPerVisitor: stream !== null,
      version: single(request, 'user-agent'),
    },
    credentials,
    token,
  };
}

/** Writes the `101`; `onWritten` is called when the turned-around session may start, not before. */
export function answerHandshake(
  socket: TLSSocket,
  answer: { token: string; node: string; workers: number },
  onWritten: () => void,
): void {
  const head =
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${answer.token}\r\nALPN: h2\r\n` +
    `Backdial-Node: ${answer.node}\r\nBackdial-Workers: ${answer.workers}\r\n\r\n`;
  socket.write(head, 'latin1', (error) => {
    if (error === null || error === undefined) onWritten();
  });
}

function readDomain(request: IncomingMessage, credentials: Credentials | null): string {
  const named = single(request, 'backdial-domain') ?? credentials?.identity ?? null;
  const text = named ?? hostOf(request);
  // One trailing dot and upper case are the same name; anything else that is not canonical is none.
  const domain = text.startsWith('*.') ? toDomain(text) : canonicalName(text);
  if (domain === null) throw invalid('Backdial-Domain is not a host name');
  return domain;
}

function readInstance(request: IncomingMessage): string {
  const instance = single(request, 'backdial-instance')?.toLowerCase() ?? 'agent';
  if (!LABEL.test(instance)) throw invalid('Backdial-Instance is not one DNS label');
  return instance;
}

function hostOf(request: IncomingMessage): string {
  return (single(request, 'host') ?? '').replace(/:\d{1,5}$/, '');
}

function readCredentials(header: string | null): Credentials | null {
  if (header === null) return null;
  // Header values arrive as latin1; secrets are UTF-8.
  const text = Buffer.from(header, 'latin1').toString('utf8');
  const space = text.indexOf(' ');
  const scheme = text.slice(0, space).toLowerCase();
  const value = text.slice(space + 1);
  if (space > 0 && scheme === 'bearer') return { identity: null, secret: checkedSecret(value) };
  if (space > 0 && scheme === 'basic') {
    const pair = Buffer.from(value, 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    if (colon > 0) return { identity: pair.slice(0, colon), secret: checkedSecret(pair.slice(colon + 1)) };
  }
  throw invalid('Authorization is neither Bearer nor Basic');
}

function checkedSecret(secret: string): Secret {
  const bytes = Buffer.byteLength(secret, 'utf8');
  if (bytes < 1 || bytes > MAX_SECRET_BYTES) throw invalid(`the secret has ${bytes} bytes; 1 to 128 are allowed`);
  return new Secret(secret);
}

/** A header that may be there once; twice is an error, for two readers could choose differently. */
function single(request: IncomingMessage, name: string): string | null {
  const values = request.headersDistinct[name];
  if (values === undefined) return null;
  if (values.length > 1) throw invalid(`${name} is there ${values.length} times`);
  return values[0] ?? null;
}

function invalid(detail: string): BackdialError {
  return new BackdialError('handshake-invalid', detail);
}
