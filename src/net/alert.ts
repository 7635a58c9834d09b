import type { Socket } from 'node:net';

/** TLS alert descriptions (RFC 8446, section 6) that are sent before, or instead of, a handshake. */
export const ALERT = {
  unexpectedMessage: 10,
  recordOverflow: 22,
  decodeError: 50,
  internalError: 80,
  userCanceled: 90,
  unrecognizedName: 112,
} as const;

export type Alert = (typeof ALERT)[keyof typeof ALERT];

/** How long a refused peer may go on before it is cut. */
const LINGER_MS = 2_000;
/** How much of it is read (and thrown away) meanwhile. */
const LINGER_BYTES = 1_048_576;

/**
 * Sends a fatal TLS alert in the clear, then closes so that it arrives: bytes left unread at `close()` would turn the FIN
 * into an RST that overtakes the alert, so what still comes is read and thrown away, for at most 2 s and 1 MB. Owns the
 * socket, which must have `allowHalfOpen` (else nothing can be sent after the peer's FIN); leaves it destroyed.
 */
export function sendAlert(socket: Socket, alert: Alert): void {
  const limit = socket.bytesRead + LINGER_BYTES;
  const deadline = setTimeout(() => socket.destroy(), LINGER_MS);
  deadline.unref();
  socket.once('close', () => clearTimeout(deadline));
  socket.once('end', () => socket.destroySoon());
  socket.on('data', () => {
    if (socket.bytesRead > limit) socket.destroy();
  });
  socket.end(Buffer.of(21, 3, 3, 0, 2, 2, alert));
  socket.resume();
}
