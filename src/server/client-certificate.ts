import type { TLSSocket } from 'node:tls';

/** Longest subject that is passed on, characters; a longer one counts as no certificate, for a part of it would be another name. */
const MAX_SUBJECT_LENGTH = 4_096;

/**
 * The subject of the certificate that a visitor proved to have (RFC 2253, the most specific part first; what is not ASCII as
 * escaped UTF-8): `CN=Jane Doe,O=Example\, Inc.,C=DE`. Null without a valid certificate.
 */
export function clientSubject(tlsSocket: TLSSocket): string | null {
  // OpenSSL calls a resumed TLS 1.3 session verified that never had a certificate: `authorized` alone proves nothing.
  const certificate = tlsSocket.authorized ? tlsSocket.getPeerX509Certificate() : undefined;
  return certificate === undefined ? null : formatSubject(certificate.subject);
}

/**
 * Node gives one line a part, in the certificate's order; values are escaped as RFC 2253 has it, line breaks included. Of an empty
 * subject, whatever its types say, it gives `undefined`.
 */
export function formatSubject(subject: string | undefined): string | null {
  const parts = (subject ?? '').split('\n').map((part) => part.replaceAll(' + ', '+'));
  const text = parts
    .reverse()
    .join(',')
    .replace(/[^ -~]+/g, escapeUtf8);
  return text.length <= MAX_SUBJECT_LENGTH && /^[ -~]+$/.test(text) ? text : null;
}

function escapeUtf8(text: string): string {
  return Array.from(Buffer.from(text, 'utf8'), (byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
    '',
  );
}
