import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

const rawSockets = new WeakMap<TLSSocket, Socket>();

/** Remembers the socket below a TLS socket: only that one can be reset (`tlsSocket.resetAndDestroy()` throws). */
export function keepRawSocket(tlsSocket: TLSSocket, raw: Socket): void {
  rawSockets.set(tlsSocket, raw);
}

/**
 * Ends a byte stream so that its far end sees a cut: RST for TCP (also below TLS, where {@link keepRawSocket} was told),
 * RST_STREAM for a tunnel's stream. A Unix socket has no reset; it is closed. Idempotent; `error` reaches local listeners
 * of streams that are no sockets.
 */
export function resetDuplex(duplex: Duplex, error: Error): void {
  if (duplex instanceof TLSSocket) {
    const raw = rawSockets.get(duplex);
    if (raw !== undefined && !isShuttingDown(duplex)) resetSocket(raw);
    duplex.destroy();
  } else if (duplex instanceof Socket) {
    if (isShuttingDown(duplex)) duplex.destroy();
    else resetSocket(duplex);
  } else if (!duplex.destroyed) {
    // With an error, always: without one Node sends RST_STREAM with NO_ERROR, which reads as a clean end.
    duplex.destroy(error);
  }
}

/**
 * All was handed over and the FIN is on its way. libuv refuses a reset then (EINVAL), and Node leaves such a socket neither
 * open nor closed, its descriptor lost. Nothing of this side's is left to be cut.
 */
function isShuttingDown(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
}

function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}
