import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { BackdialError, ERRORS } from '../core/errors.ts';
import { serverSessionOptions } from './settings.ts';
import { HEADER } from './types.ts';

/**
 * Tries a turned-around connection: one PING through HTTP/2, then it leaves. It allows no stream, and refuses one that comes
 * all the same so that the server takes another tunnel. Owns the socket; to be called after the `101`.
 *
 * Gives the round trip in ms. Fails with `agent-lost` (the connection broke, or what came was no HTTP/2) or `agent-silent`
 * (no answer within `timeoutMs`, which starts with the call).
 */
export async function probeTunnel(socket: TLSSocket, timeoutMs: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const session = performServerHandshake(socket, serverSessionOptions(0));
  session.on('error', (error) => reject(new BackdialError('agent-lost', error.message, { cause: error })));
  session.on('close', () => reject(new BackdialError('agent-lost', 'the connection was closed')));
  session.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    const code = 'tunnel-draining';
    stream.respond({ ':status': ERRORS[code].status, [HEADER.error]: code }, { endStream: true });
    stream.resume();
  });
  const deadline = setTimeout(
    () => reject(new BackdialError('agent-silent', `no PING was answered within ${timeoutMs} ms`)),
    timeoutMs,
  );
  // Not before the server's own SETTINGS: only then is it sure that HTTP/2 is spoken there.
  session.once('remoteSettings', () => {
    session.ping((error, duration) => (error === null ? resolve(duration) : reject(error)));
  });
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    // Never within a callback of HTTP/2: several versions of Node crash.
    setImmediate(() => {
      if (session.destroyed) socket.destroy();
      else session.close(() => socket.destroy());
    });
  }
}
