import type { Http2Stream } from 'node:http2';

/**
 * To be called as the stream closes: what listened to it is several times its size, and HTTP/2 has its streams in a `Map`, which
 * keeps them for longer than they live (see `Crowd`). The other listeners of this very `close` are called all the same.
 */
export function forgetListeners(stream: Http2Stream): void {
  // Else it would be told of each listener that goes.
  stream.removeAllListeners('removeListener');
  stream.removeAllListeners();
  stream.on('error', ignoreLateError);
}

/** A stream must never be without an `error` listener. */
function ignoreLateError(): void {}
